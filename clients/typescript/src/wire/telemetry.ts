/** Usage attributes of OpenTelemetry, OpenLLMetry and OpenInference spans. */

import type { Json } from "../json.js";
import { type Counts, first } from "./counts.js";

/** Read `gen_ai.usage.*`. Cached counts are part of `input_tokens`. OpenLLMetry writes dots as underscores and the total under `llm.`. */
export function readOpenTelemetry(usage: Json, counts: Counts): void {
  const own = without(usage, "gen_ai.usage.");
  counts.add("input_tokens", first(own, "input_tokens", "prompt_tokens", "llm.usage.prompt_tokens"));
  counts.add("output_tokens", first(own, "output_tokens", "completion_tokens", "llm.usage.completion_tokens"));
  counts.add("cache_read_tokens", first(own, "cache_read.input_tokens", "cache_read_input_tokens"));
  counts.add(
    "cache_write_tokens",
    first(own, "cache_write.input_tokens", "cache_creation.input_tokens", "cache_creation_input_tokens"),
  );
  counts.add("output_reasoning_tokens", first(own, "reasoning.output_tokens", "reasoning_tokens"));
  counts.expect(first(own, "total_tokens", "llm.usage.total_tokens"));
}

/** Read `llm.token_count.*`. The details are part of `prompt` and `completion`. */
export function readOpenInference(usage: Json, counts: Counts): void {
  const own = without(usage, "llm.token_count.");
  counts.add("input_tokens", own["prompt"]);
  counts.add("output_tokens", own["completion"]);
  counts.add("cache_read_tokens", own["prompt_details.cache_read"]);
  counts.add("cache_write_tokens", own["prompt_details.cache_write"]);
  counts.add("input_audio_tokens", own["prompt_details.audio"]);
  counts.add("output_audio_tokens", own["completion_details.audio"]);
  counts.add("output_reasoning_tokens", own["completion_details.reasoning"]);
  counts.expect(own["total"]);
}

function without(usage: Json, prefix: string): Json {
  const short = (name: string): string => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  return Object.fromEntries(Object.entries(usage).map(([name, value]) => [short(name), value]));
}
