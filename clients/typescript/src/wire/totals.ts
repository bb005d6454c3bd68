/** Usage formats with totals that include all details: OpenAI's responses, images and realtime, LangChain, pydantic-ai. */

import type { Json } from "../json.js";
import { type Counts, first, givenIn, part } from "./counts.js";

/** Read the counts. Details are in an object of their own, or next to the totals under their canonical names. */
export function readTotals(usage: Json, counts: Counts): void {
  const input = { ...usage, ...givenIn(part(usage, "input_tokens_details", "input_token_details")) };
  const more = givenIn(part(usage, "output_tokens_details", "output_token_details"));
  const output = { ...usage, ...givenIn(part(usage, "details")), ...more };
  const cached = part(input, "cached_tokens_details");
  counts.add("input_tokens", usage["input_tokens"]);
  counts.add("output_tokens", usage["output_tokens"]);
  counts.add("cache_read_tokens", first(input, "cached_tokens", "cache_read", "cache_read_tokens"));
  addWritten(input, counts);
  for (const kind of ["audio", "image", "video"]) {
    counts.add(`input_${kind}_tokens`, first(input, `${kind}_tokens`, kind, `input_${kind}_tokens`));
    counts.add(`output_${kind}_tokens`, first(output, `${kind}_tokens`, kind, `output_${kind}_tokens`));
    counts.add(`cache_${kind}_read_tokens`, first(cached, `${kind}_tokens`) ?? usage[`cache_${kind}_read_tokens`]);
  }
  counts.add("output_reasoning_tokens", first(output, "reasoning_tokens", "reasoning", "output_reasoning_tokens"));
  counts.expect(usage["total_tokens"]);
}

/** Add cache writes. LangChain moves those of Anthropic's models from `cache_creation` to a name with their lifetime. */
function addWritten(input: Json, counts: Counts): void {
  const kept = { ...input, ...part(input, "cache_write_tokens_details") };
  for (const name of ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"])
    counts.add("cache_write_tokens", kept[name]);
  counts.atLeast("cache_write_tokens", first(input, "cache_write_tokens", "cache_creation"));
  counts.add("cache_write_1h_tokens", first(kept, "ephemeral_1h_input_tokens", "cache_write_1h_tokens"));
}
