/** Usage that a model's result or stream reports, read for a use. */

import { isObject, type Json, objectOf } from "../json.js";
import { requestTokens } from "../replies/estimating.js";
import type { Observer } from "../replies/observer.js";
import { UnreadableUsageError } from "../wire/counts.js";
import { type Reading, readUsage } from "../wire/reading.js";

interface Reported {
  readonly usage: unknown;
  readonly providerMetadata?: unknown;
}

interface Generated extends Reported {
  readonly content: readonly unknown[];
  readonly response?: { readonly id?: string | undefined; readonly modelId?: string | undefined } | undefined;
}

/** Return the estimated tokens of a call's prompt and tools. */
export function promptTokens(params: { readonly prompt: unknown; readonly tools?: unknown }): number {
  return requestTokens({ messages: withoutOptions(params.prompt), tools: withoutOptions(params.tools) });
}

/** Return a part of a prompt without what the model does not read. */
function withoutOptions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutOptions);
  if (!isObject(value) || ArrayBuffer.isView(value)) return value;
  const read = Object.entries(value).filter(([name, item]) => name !== "providerOptions" && item !== undefined);
  return Object.fromEntries(read.map(([name, item]) => [name, withoutOptions(item)]));
}

/** Record a whole result; what it does not report is estimated from its content. */
export function observeResult(observer: Observer, result: Generated, modelId: string): void {
  const model = result.response?.modelId ?? modelId;
  const body = bodyOf(result);
  if (observer.observeChunk({ id: result.response?.id, ...body }, { model })) return;
  for (const item of result.content) observer.observeContent(textOf(item), { model });
  observer.endWithoutUsage();
}

/** Record one part of a stream; return the model, which a part may name. */
export function observePart(observer: Observer, part: Json, modelId: string): string {
  if (part["type"] === "response-metadata") return typeof part["modelId"] === "string" ? part["modelId"] : modelId;
  if (part["type"] === "error") observer.fail();
  if (part["type"] === "finish") observeFinish(observer, part, modelId);
  else if (typeof part["delta"] === "string") observer.observeContent(part["delta"], { model: modelId });
  return modelId;
}

function observeFinish(observer: Observer, part: Json, model: string): void {
  const body = bodyOf({ usage: part["usage"], providerMetadata: part["providerMetadata"] });
  if (isUnreported(body)) observer.endWithoutUsage();
  else observer.observeEnd(body, { model });
}

/** Return a body with the provider's own usage if it tells more than the SDK's, with the same totals; else with the SDK's. */
function bodyOf({ usage, providerMetadata }: Reported): Json {
  const raw = objectOf(usage)["raw"];
  const more = isObject(usage) ? { providerMetadata } : {};
  if (!isObject(raw)) return { usage, ...more };
  const [own, theirs] = [reading({ usage, ...more }), reading(raw)];
  const same = theirs !== null && (own === null || totalsOf(own) === totalsOf(theirs));
  return same ? { usage: raw } : { usage, ...more };
}

function totalsOf({ counts }: Reading): string {
  return `${counts["input_tokens"] ?? 0} ${counts["output_tokens"] ?? 0}`;
}

function reading(body: Json): Reading | null {
  try {
    return readUsage(body);
  } catch (error) {
    if (error instanceof UnreadableUsageError) return null;
    throw error;
  }
}

/** Return whether a body reports no usage; one that cannot be read is reported. */
function isUnreported(body: Json): boolean {
  try {
    return readUsage(body) === null;
  } catch {
    return false;
  }
}

function textOf(item: unknown): string {
  const { text, input } = objectOf(item);
  return typeof text === "string" ? text : typeof input === "string" ? input : "";
}
