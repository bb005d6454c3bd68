/** One authorised use of a feature, with its observed usage. */

import { FaregateError, InvalidError } from "./errors.js";
import type { Logger } from "./logger.js";
import { Observer, type Observed } from "./replies/observer.js";
import type { ChargeRequest } from "./request.js";
import { monotonicSeconds } from "./transport/retrying.js";
import type { Authorization, UseResult } from "./values.js";
import { type Counted, type Line, lineOf } from "./wire/count-names.js";

/** How a use is closed: voided if `voidReason` is set, else settled with `lines`. */
export interface Closing {
  readonly voidReason: string | null;
  readonly lines: readonly Line[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly durationMs: number;
}

/** Settles, voids and extends a use. */
export interface Closer {
  close(use: Use, closing: Closing): Promise<UseResult>;
  /** Extend the hold until the returned function is called. */
  keepAlive(use: Use): () => void;
}

/**
 * An authorised use while it runs: `observe` replies, or `add` what you counted yourself.
 *
 * A use of `credits.use(…)` ends with its callback. A use of `credits.open(…)` ends with `end()`.
 */
export class Use {
  readonly request: ChargeRequest;
  readonly authorization: Authorization;
  /** Sent with the settlement; the host may add to it. */
  readonly metadata: Record<string, unknown>;
  /** The use ends with a callback, rather than with a stream. */
  readonly bounded: boolean;

  readonly #closer: Closer;
  readonly #logger: Logger;
  readonly #observer: Observer;
  readonly #watchers: Observer[] = [];
  readonly #began = monotonicSeconds();
  readonly #release: () => void;
  #voidReason: string | null = null;
  #ending: Promise<UseResult> | null = null;
  #result: UseResult | null = null;

  /** Created by `CreditsClient`. */
  constructor(request: ChargeRequest, authorization: Authorization, bounded: boolean, closer: Closer, logger: Logger) {
    this.request = request;
    this.authorization = authorization;
    this.metadata = { ...request.metadata };
    this.bounded = bounded;
    this.#closer = closer;
    this.#logger = logger;
    this.#observer = new Observer(logger);
    this.#release = closer.keepAlive(this);
  }

  get feature(): string {
    return this.request.feature;
  }

  get userId(): string {
    return this.request.userId;
  }

  /** The id of this use, for the host's own logs. */
  get usageKey(): string {
    return this.authorization.usageKey;
  }

  /** Whether usage observed now is still settled. */
  get running(): boolean {
    return !this.#observer.closed;
  }

  /** How many items were observed until now; it grows while a stream delivers. */
  get activity(): number {
    return this.#watchers.reduce((sum, watcher) => sum + watcher.activity, this.#observer.activity);
  }

  /**
   * How the use ended.
   *
   * @throws InvalidError it has not ended, or its settlement was refused.
   */
  get result(): UseResult {
    if (this.#result !== null) return this.#result;
    throw new InvalidError(
      `the use ${this.usageKey} has no result yet: read it after its end; there is none if the settlement was refused`,
      { param: "result" },
    );
  }

  /**
   * Record the usage that a provider's reply, or one chunk of its stream, reports; return the reply.
   *
   * The usage of several replies and models is added up. The same reply counts once, however often it is observed.
   *
   * @throws UnreadableReplyError no usage was found in it; use `add`.
   * @throws InvalidError the use has ended.
   */
  observe<T>(reply: T, options: Observed = {}): T {
    this.#checkRunning();
    this.#observer.observe(reply, options);
    return reply;
  }

  /**
   * Add usage that the host counted itself, such as `add("gpt-4o", { inputTokens: 1000, outputTokens: 100 })`.
   *
   * `inputTokens` and `outputTokens` are totals; the other counts of tokens are parts of them.
   *
   * @throws InvalidError a count is not known or not a whole number, or the use has ended.
   */
  add(model: string, counts: Counted = {}): void {
    this.#checkRunning();
    const line = lineOf({ model, ...counts }, "usage");
    this.#observer.add({ ...line, tokens: { input_tokens: 0, output_tokens: 0, ...line.tokens } });
  }

  /**
   * Pass on a stream and observe each chunk: `for await (const chunk of use.watch(stream))`.
   *
   * A reader that leaves the stream early is charged for what came; a stream that fails before anything came is not charged.
   *
   * @throws InvalidError the use has ended, or `stream` cannot be iterated.
   */
  watch<T>(stream: AsyncIterable<T>, options: Observed = {}): AsyncGenerator<T, void, undefined> {
    if (typeof (stream as AsyncIterable<T> | undefined)?.[Symbol.asyncIterator] !== "function") {
      throw new InvalidError("stream must be an async iterable, such as the stream of a provider's SDK", {
        param: "stream",
      });
    }
    return this.#watched(stream, this.watcher(options.model ?? null), options);
  }

  /** Return an observer for one request and its stream, whose usage is part of this use; for adapters. */
  watcher(model: string | null = null, requestTokens: number | null = null): Observer {
    this.#checkRunning();
    const observer = new Observer(this.#logger);
    observer.expect(model, requestTokens);
    this.#watchers.push(observer);
    return observer;
  }

  /** Charge nothing: at its end the hold is voided, even if usage was observed. */
  void(reason = "voided"): void {
    this.#voidReason = reason;
  }

  /**
   * Settle or void, once; later calls return the first result. `failure` is what ended the use, if it failed: without observed
   * usage the hold is voided.
   *
   * @throws FaregateError the settlement failed.
   */
  end(failure?: unknown): Promise<UseResult> {
    this.#ending ??= this.#end(failure);
    return this.#ending;
  }

  async #end(failure: unknown): Promise<UseResult> {
    this.#release();
    try {
      this.#result = await this.#closer.close(this, this.#closing(failure));
      return this.#result;
    } catch (error) {
      if (error instanceof FaregateError)
        this.#logger.error(`${this.usageKey} of ${this.userId} was not settled: ${error.message}`);
      throw error;
    }
  }

  #closing(failure: unknown): Closing {
    this.#observer.closed = true;
    for (const watcher of this.#watchers) this.#observer.merge(watcher);
    this.#watchers.length = 0;
    const nothing = { lines: [], metadata: {}, durationMs: 0 };
    if (this.#voidReason !== null) return { voidReason: this.#voidReason, ...nothing };
    if (failure !== undefined && this.#observer.empty) return { voidReason: nameOf(failure), ...nothing };
    const lines = this.#observer.lines(this.request.estimatedLines);
    const facts = {
      ...(lines.estimated ? { usage_estimated: true } : {}),
      ...(lines.unread.length > 0 ? { usage_unread: lines.unread } : {}),
      ...(failure === undefined ? {} : { error: nameOf(failure) }),
    };
    const durationMs = Math.round((monotonicSeconds() - this.#began) * 1000);
    return { voidReason: null, lines: lines.usages, metadata: { ...this.metadata, ...facts }, durationMs };
  }

  async *#watched<T>(
    stream: AsyncIterable<T>,
    observer: Observer,
    options: Observed,
  ): AsyncGenerator<T, void, undefined> {
    let left = true;
    try {
      for await (const chunk of stream) {
        this.#checkRunning();
        observer.observeChunk(chunk, options);
        yield chunk;
      }
      left = false;
      observer.endWithoutUsage();
    } catch (error) {
      left = false;
      observer.fail();
      throw error;
    } finally {
      if (left) observer.breakOff();
    }
  }

  #checkRunning(): void {
    if (this.running) return;
    throw new InvalidError(
      `the use ${this.usageKey} has ended: usage observed now would not be charged; observe within it`,
      { param: "use" },
    );
  }
}

/** Return the name of what ended a use: an error's class, or the type of another value. */
function nameOf(failure: unknown): string {
  return failure instanceof Error ? failure.name : typeof failure;
}
