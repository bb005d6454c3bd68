/** Usage formats of Cohere and Ollama. */

import type { Json } from "../json.js";
import { type Counts, first, part } from "./counts.js";

/** Read Cohere's billed units; if there are none, the processed tokens. */
export function readCohere(usage: Json, counts: Counts): void {
  const units = part(usage, "billed_units");
  const billed = Object.keys(units).length > 0 ? units : part(usage, "tokens");
  for (const name of ["input_tokens", "output_tokens"]) counts.add(name, billed[name]);
  counts.add("cache_read_tokens", first(usage, "cached_tokens"));
  counts.add("rerank_searches", billed["search_units"]);
}

/** Read Ollama's counts, which are in the reply itself. Ollama does not count a prompt that it has cached. */
export function readOllama(usage: Json, counts: Counts): void {
  counts.add("input_tokens", usage["prompt_eval_count"]);
  counts.add("output_tokens", usage["eval_count"]);
}
