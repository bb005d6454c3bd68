/** Usage format of Vercel's AI SDK, versions 4 to 6. */

import { isObject, type Json } from "../json.js";
import { Counts, first, isGiven, part } from "./counts.js";

/** Field next to the usage with each provider's own counts. In version 4 only this field reports cached tokens. */
export const METADATA = "providerMetadata";

/** Providers whose cached tokens are not part of `promptTokens` and `inputTokens`; version 6 adds them. */
const BESIDE = new Set(["anthropic", "bedrock"]);
const READ = ["cacheReadInputTokens", "cachedPromptTokens", "promptCacheHitTokens"];
const WRITTEN = ["cacheCreationInputTokens", "cacheWriteInputTokens"];
const KNOWN = [...READ, ...WRITTEN, "reasoningTokens"];

type ByProvider = Record<string, Json>;

/**
 * Return the counts in a result's metadata, by provider.
 *
 * With several steps it returns their sums: the result's own metadata is the last step's, while its usage is that of all.
 */
export function metadataCounts(body: Json): ByProvider {
  const steps = stepsOf(body)
    .map(countsOf)
    .filter((found) => Object.keys(found).length > 0);
  return steps.length > 1 ? sumsOf(steps) : countsOf(body);
}

/** Return the steps of a result whose usage is the sum of all steps; else none. */
function stepsOf(body: Json): Json[] {
  const steps = body["steps"];
  const summed = Object.keys(part(body, "totalUsage")).length > 0 || Object.hasOwn(part(body, "usage"), "promptTokens");
  return Array.isArray(steps) && summed ? steps.filter(isObject) : [];
}

function countsOf(body: Json): ByProvider {
  const found: ByProvider = {};
  for (const [provider, reported] of Object.entries(part(body, "experimental_providerMetadata", METADATA))) {
    if (!isObject(reported)) continue;
    const named: Json = { ...reported, ...part(reported, "usage") };
    const counts = Object.fromEntries(KNOWN.filter((name) => isGiven(named[name])).map((name) => [name, named[name]]));
    if (Object.keys(counts).length > 0 || BESIDE.has(provider)) found[provider] = counts;
  }
  return found;
}

function sumsOf(steps: readonly ByProvider[]): ByProvider {
  const sums: Record<string, Counts> = {};
  for (const [provider, reported] of steps.flatMap((step) => Object.entries(step))) {
    const ofProvider = (sums[provider] ??= new Counts());
    for (const [name, value] of Object.entries(reported)) ofProvider.add(name, value);
  }
  return Object.fromEntries(Object.entries(sums).map(([provider, counts]) => [provider, counts.values]));
}

/** Read the counts. Cached and reasoning tokens are part of the totals; a provider's own object nests them in `inputTokens`. */
export function readVercel(usage: Json, counts: Counts): void {
  const input = { ...usage, ...part(usage, "inputTokenDetails", "inputTokens") };
  const output = { ...usage, ...part(usage, "outputTokenDetails", "outputTokens") };
  const metadata = part(usage, METADATA);
  const reported = part(metadata, ...Object.keys(metadata));
  counts.add("input_tokens", totalOf(first(usage, "inputTokens", "promptTokens")));
  counts.add("output_tokens", totalOf(first(usage, "outputTokens", "completionTokens")));
  counts.add(
    "cache_read_tokens",
    first(input, "cacheReadTokens", "cacheRead", "cachedInputTokens") ?? first(reported, ...READ),
  );
  counts.add("cache_write_tokens", first(input, "cacheWriteTokens", "cacheWrite") ?? first(reported, ...WRITTEN));
  counts.add("output_reasoning_tokens", first(output, "reasoningTokens", "reasoning") ?? reported["reasoningTokens"]);
  const cached = counts.get("cache_read_tokens") + counts.get("cache_write_tokens");
  if (
    isBeside(
      usage,
      counts,
      Object.keys(metadata).some((provider) => BESIDE.has(provider)),
    )
  )
    counts.add("input_tokens", cached);
  counts.expect(usage["totalTokens"], [cached]);
}

/** Return whether cached tokens are not part of the input: their provider reports them so, or they exceed the input. */
function isBeside(usage: Json, counts: Counts, providerSays: boolean): boolean {
  if (Object.keys(part(usage, "inputTokenDetails", "inputTokens")).length > 0) return false;
  return providerSays || counts.get("cache_read_tokens") > counts.get("input_tokens");
}

function totalOf(value: unknown): unknown {
  return isObject(value) ? value["total"] : value;
}
