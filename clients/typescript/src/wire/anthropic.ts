/** Usage format of Anthropic. */

import type { Json } from "../json.js";
import { type Counts, first, part } from "./counts.js";

/** Read `usage`. Cached tokens are not part of `input_tokens`; `cache_creation` holds their lifetimes. */
export function readAnthropic(usage: Json, counts: Counts): void {
  const kept = part(usage, "cache_creation");
  counts.add("input_tokens", usage["input_tokens"]);
  counts.add("output_tokens", usage["output_tokens"]);
  counts.add("cache_read_tokens", usage["cache_read_input_tokens"]);
  for (const name of ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"])
    counts.add("cache_write_tokens", kept[name]);
  counts.atLeast("cache_write_tokens", usage["cache_creation_input_tokens"]);
  counts.add("cache_write_1h_tokens", kept["ephemeral_1h_input_tokens"]);
  for (const name of ["cache_read_tokens", "cache_write_tokens"]) counts.add("input_tokens", counts.get(name) || null);
  counts.add(
    "output_reasoning_tokens",
    first(part(usage, "output_tokens_details"), "thinking_tokens", "reasoning_tokens"),
  );
  counts.add("web_searches", part(usage, "server_tool_use")["web_search_requests"]);
}
