/** Usage formats of OpenAI's chat completions and transcriptions. */

import type { Json } from "../json.js";
import { type Counts, first, givenIn, part } from "./counts.js";

/** Read the usage of chat completions, DeepSeek, OpenRouter, xAI and LiteLLM, which adds Anthropic's names but counts as OpenAI does. */
export function readChat(usage: Json, counts: Counts): void {
  const read = part(usage, "prompt_tokens_details");
  const written = part(usage, "completion_tokens_details");
  const all = { ...usage, ...givenIn(read) };
  counts.add("input_tokens", usage["prompt_tokens"]);
  counts.add("output_tokens", usage["completion_tokens"]);
  counts.add("cache_read_tokens", first(all, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"));
  counts.add(
    "cache_write_tokens",
    first(all, "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"),
  );
  const kept = part(read, "cache_write_tokens_details", "cache_creation_token_details");
  counts.add("cache_write_1h_tokens", kept["ephemeral_1h_input_tokens"]);
  for (const kind of ["audio", "image", "video"]) {
    counts.add(`input_${kind}_tokens`, read[`${kind}_tokens`]);
    counts.add(`output_${kind}_tokens`, written[`${kind}_tokens`]);
  }
  counts.add("output_reasoning_tokens", written["reasoning_tokens"]);
  counts.add("web_searches", part(usage, "server_tool_use")["web_search_requests"]);
  addReasoningBeside(usage, counts);
  counts.expect(usage["total_tokens"]);
}

/** Add reasoning tokens that are not part of `completion_tokens`, as the total of xAI shows. */
function addReasoningBeside(usage: Json, counts: Counts): void {
  const reasoning = counts.get("output_reasoning_tokens");
  const read = counts.get("input_tokens") + counts.get("output_tokens");
  if (reasoning > 0 && usage["total_tokens"] === read + reasoning) counts.add("output_tokens", reasoning);
}

/** Read the duration of a transcription billed by time, rounded up to seconds. */
export function readDuration(usage: Json, counts: Counts): void {
  counts.addStarted("audio_seconds", usage["seconds"]);
}
