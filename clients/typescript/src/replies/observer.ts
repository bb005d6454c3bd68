/** Observer of provider replies, whole or streamed; each counts once. */

import { UnreadableReplyError } from "../errors.js";
import { isObject, type Json, objectOf } from "../json.js";
import type { Logger } from "../logger.js";
import type { Line } from "../wire/count-names.js";
import { UnreadableUsageError } from "../wire/counts.js";
import { modelIn, readUsage, type Reading, tierIn } from "../wire/reading.js";
import { replyTokens } from "./estimating.js";
import { type Lines, linesOf, ObservedReply, UNKNOWN_MODEL } from "./lines.js";

const REPLIES = new Set<unknown>([
  "chat.completion",
  "text_completion",
  "response",
  "message",
  "ai",
  "list",
  "responses.compaction",
]);
const CHUNKS = new Set<unknown>(["chat.completion.chunk", "AIMessageChunk"]);
/** Beginnings of the types of stream events that do not report usage yet. */
const EVENTS =
  /^(?:ping|error|delta|response\.|content[_-]|message[_-]|transcript\.|speech\.|image_|text-|tool-|citation-|stream-|thread\.)/;
/** The events that bring content. Events that repeat the whole content at its end are not counted again. */
const BRINGS = /delta|text-generation/;
const MARKS = ["choices", "candidates", "messageStop", "contentBlockStart", "contentBlockStop", "event_type"];

/** An item of a stream, or a whole reply, with the model that the host names. */
export interface Observed {
  readonly model?: string | undefined;
}

/**
 * Records the usage that replies report.
 *
 * A reply is identified by its id, so that it counts once if it is observed twice or chunk by chunk. Streams that run at the
 * same time need an observer each.
 */
export class Observer {
  closed = false;
  activity = 0;

  readonly #logger: Logger;
  readonly #replies = new Map<unknown, ObservedReply>();
  readonly #counted: Line[] = [];
  #numbers = 0;
  #streaming: unknown = null;
  #expected: ObservedReply | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Whether nothing was observed at all. */
  get empty(): boolean {
    return this.#replies.size === 0 && this.#counted.length === 0;
  }

  /** Add a line that the host counted itself. */
  add(line: Line): void {
    this.#counted.push(line);
  }

  /** Record a request that is sent; the next reply belongs to it. */
  expect(model: string | null, requestTokens: number | null): void {
    this.#expected = new ObservedReply(model, requestTokens);
  }

  /** Record that the request, or its stream, failed: without a reply it is not charged. */
  fail(): void {
    this.#expected = null;
  }

  /** Record that the caller stopped reading: the request is charged even if nothing was received yet. */
  breakOff(): void {
    if (this.#expected === null) return;
    this.#replies.set(this.#next(), this.#expected);
    this.#expected = null;
  }

  /** Record that a reply is complete. If it reported no usage, only an estimate of it is known, or nothing. */
  endWithoutUsage(model: string | null = null): void {
    if (this.#expected === null && model === null) return;
    const reply = this.#expected ?? new ObservedReply();
    reply.model = model ?? reply.model;
    reply.withoutUsage = true;
    this.#replies.set(this.#next(), reply);
    this.#expected = null;
  }

  /** Add everything that another observer recorded, and close that one. */
  merge(other: Observer): void {
    other.breakOff();
    other.closed = true;
    this.#counted.push(...other.#counted);
    for (const [key, reply] of other.#replies) this.#replies.set(typeof key === "string" ? key : this.#next(), reply);
  }

  /**
   * Record a whole reply or one event of a stream.
   *
   * @throws UnreadableReplyError `reply` is not a reply of a provider, or it holds no usage in a known form.
   */
  observe(reply: unknown, { model }: Observed = {}): void {
    if (!isObject(reply)) {
      throw new UnreadableReplyError(
        `a ${kindOf(reply)} is not a reply of a provider; give the reply itself, or use add(model, …)`,
        { param: "reply" },
      );
    }
    if (this.#observe(reply, model ?? null)) return;
    const names = Object.keys(reply).slice(0, 8).join(", ") || "nothing";
    throw new UnreadableReplyError(
      `no usage was found in an object with ${names}; give the whole reply, or use add(model, …)`,
      { param: "reply" },
    );
  }

  /** Record one item of a stream; return whether it could be read. Never throws: it must not break the host's stream. */
  observeChunk(item: unknown, { model }: Observed = {}): boolean {
    return isObject(item) && this.#observe(item, model ?? null);
  }

  /** Record content that is streaming, of the reply that is expected. */
  observeContent(text: string, { model }: Observed = {}): void {
    this.#observe({ type: "content_delta", delta: text }, model ?? null);
  }

  /** Record the end of the reply that is streaming, with the usage that it reports. */
  observeEnd(body: Json, { model }: Observed = {}): void {
    this.#observe({ ...body, type: "message_delta" }, model ?? null);
  }

  /** Return the lines of the settlement; see `linesOf`. */
  lines(estimate: readonly Line[] = []): Lines {
    return linesOf([...this.#replies.values()], this.#counted, estimate, this.#logger);
  }

  #next(): number {
    return this.#numbers++;
  }

  #observe(body: Json, model: string | null): boolean {
    this.activity += 1;
    try {
      return this.#observeBody(body, model);
    } catch (error) {
      if (!(error instanceof UnreadableUsageError)) throw error;
      this.#logger.warn(`a reply cannot be read, its usage is taken from the estimate: usage: ${error.message}`);
      this.#endUnreadable(body, model ?? modelIn(body) ?? UNKNOWN_MODEL);
      return true;
    }
  }

  /** Record that the usage of a reply cannot be read; a reply that is known already, such as a stream, stays one. */
  #endUnreadable(body: Json, model: string): void {
    const reply = this.#replies.get(idIn(body) ?? this.#streaming);
    if (reply === undefined || reply.final) {
      this.endWithoutUsage(model);
      return;
    }
    reply.model = reply.model ?? model;
    reply.withoutUsage = true;
  }

  #observeBody(body: Json, model: string | null): boolean {
    const event = typeof body["type"] === "string" ? body["type"] : String(body["event_type"] ?? "");
    if (this.#observeFrame(body, event, model)) return true;
    if (CHUNKS.has(body["object"]) || CHUNKS.has(event) || body["done"] === false) {
      this.#observeChunk(body, model);
    } else if (REPLIES.has(body["object"]) || REPLIES.has(event)) {
      this.#observeReply(body, model);
    } else if (EVENTS.test(event)) {
      if (readUsage(body) !== null || (BRINGS.test(event) && replyTokens(body) > 0)) this.#observeDelta(body, model);
    } else if (readUsage(body) !== null) {
      this.#observeReply(body, model);
    } else if (MARKS.some((name) => Object.hasOwn(body, name))) {
      this.#observeChunk(body, model);
    } else {
      return false;
    }
    return true;
  }

  /** Record an event that begins, ends or wraps a reply; return whether `body` is one. */
  #observeFrame(body: Json, event: string, model: string | null): boolean {
    if (event === "message_start") {
      this.#observeReply(objectOf(body["message"]), model, false);
    } else if ("messageStart" in body) {
      this.#streaming = this.#next();
    } else if (event === "message_delta" || "contentBlockDelta" in body) {
      this.#observeDelta(body, model);
    } else if (event === "message-end") {
      this.#observeDelta(objectOf(body["delta"]), model);
    } else if (Object.keys(body).join() === "metadata") {
      this.#observeDelta(objectOf(body["metadata"]), model);
    } else if (event.startsWith("response.") && isObject(body["response"])) {
      this.#observeReply(body["response"], model);
    } else {
      return false;
    }
    return true;
  }

  #observeChunk(body: Json, model: string | null): void {
    if (readUsage(body) !== null || idIn(body) !== null) this.#observeReply(body, model);
    else this.#observeDelta(body, model ?? modelIn(body));
  }

  #observeReply(body: Json, model: string | null, final = true): void {
    const key = idIn(body) ?? this.#next();
    this.#streaming = key;
    const reply = this.#at(key);
    reply.model = model ?? modelIn(body) ?? reply.model;
    reply.serviceTier = tierIn(body) ?? reply.serviceTier;
    countContent(reply, body);
    const reading = readUsage(body);
    if (reading === null) return;
    reply.provider = reading.provider;
    reply.serviceTier = reading.serviceTier ?? reply.serviceTier;
    reply.counts = {};
    reply.final = final;
    reply.fill(reading);
  }

  /** Record a chunk of the reply that is streaming, or its last one. Bedrock's chunks carry neither id nor model. */
  #observeDelta(body: Json, model: string | null): void {
    const reply = this.#at(this.#streaming);
    reply.model = model ?? reply.model;
    const reading: Reading | null = readUsage(body);
    if (reading === null) {
      countContent(reply, body);
      return;
    }
    reply.fill(reading);
    reply.final = true;
    if (typeof this.#streaming !== "string") this.#streaming = this.#next();
  }

  /** Return the reply with this key; a new one belongs to the request that was sent last. */
  #at(key: unknown): ObservedReply {
    const found = this.#replies.get(key);
    if (found !== undefined) return found;
    const reply = this.#expected ?? new ObservedReply();
    this.#expected = null;
    this.#replies.set(key, reply);
    return reply;
  }
}

function countContent(reply: ObservedReply, body: Json): void {
  const tokens = replyTokens(body);
  if (tokens > 0) reply.chunks += 1;
  reply.contentTokens += tokens;
}

function idIn(body: Json): string | null {
  const ids = ["id", "response_id", "responseId"].map((name) => body[name]);
  return ids.find((found): found is string => typeof found === "string" && found !== "") ?? null;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "list" : typeof value;
}
