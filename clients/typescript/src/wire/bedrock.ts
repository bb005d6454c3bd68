/** Usage format of Amazon Bedrock. */

import { isObject, type Json } from "../json.js";
import { type Counts, first } from "./counts.js";

const CACHES = { cacheRead: "cache_read_tokens", cacheWrite: "cache_write_tokens" } as const;

/** Read `usage`. Cached tokens are not part of the input; `cacheDetails` holds their lifetimes. */
export function readBedrock(usage: Json, counts: Counts): void {
  counts.add("input_tokens", first(usage, "inputTokens", "inputTokenCount"));
  counts.add("output_tokens", first(usage, "outputTokens", "outputTokenCount"));
  for (const [name, ours] of Object.entries(CACHES)) {
    const value = first(usage, `${name}InputTokens`, `${name}InputTokenCount`);
    counts.add("input_tokens", value);
    counts.add(ours, value);
  }
  const details: unknown = usage["cacheDetails"];
  for (const detail of Array.isArray(details) ? details.filter(isObject) : []) {
    if (detail["ttl"] === "1h") counts.add("cache_write_1h_tokens", detail["inputTokens"]);
  }
  const [read, written] = [counts.get("cache_read_tokens"), counts.get("cache_write_tokens")];
  counts.expect(first(usage, "totalTokens", "totalTokenCount"), [read, written, read + written]);
}
