/** Usage format of Gemini and Gemini Live. */

import { isObject, type Json } from "../json.js";
import { type Counts, eitherCase, isGiven } from "./counts.js";

const MODALITIES: Readonly<Record<string, string>> = {
  AUDIO: "audio",
  IMAGE: "image",
  VIDEO: "video",
  DOCUMENT: "image",
};

/** Read the counts. Thoughts are not part of the candidates, nor tool prompts of the prompt. Live names the candidates `response`. */
export function readGemini(usage: Json, counts: Counts): void {
  const get = eitherCase(usage);
  counts.add("input_tokens", get("promptTokenCount"));
  counts.add("input_tokens", get("toolUsePromptTokenCount"));
  counts.add("input_tool_tokens", get("toolUsePromptTokenCount"));
  counts.add("output_tokens", get("candidatesTokenCount") ?? get("responseTokenCount"));
  counts.add("output_tokens", get("thoughtsTokenCount"));
  counts.add("output_reasoning_tokens", get("thoughtsTokenCount"));
  counts.add("cache_read_tokens", get("cachedContentTokenCount"));
  addModalities(get("promptTokensDetails"), (kind) => `input_${kind}_tokens`, counts);
  addModalities(get("cacheTokensDetails"), (kind) => `cache_${kind}_read_tokens`, counts);
  const details = get("candidatesTokensDetails");
  addModalities(isGiven(details) ? details : get("responseTokensDetails"), (kind) => `output_${kind}_tokens`, counts);
  counts.expect(get("totalTokenCount"), [counts.get("input_tool_tokens")]);
}

/** Add the counts of `details` by modality; text tokens are the rest of the total. */
function addModalities(details: unknown, nameOf: (kind: string) => string, counts: Counts): void {
  for (const detail of Array.isArray(details) ? details.filter(isObject) : []) {
    const get = eitherCase(detail);
    const plain = String(get("modality")).split(".").pop()!.toUpperCase();
    const kind = MODALITIES[plain];
    if (kind !== undefined) counts.add(nameOf(kind), get("tokenCount"));
  }
}
