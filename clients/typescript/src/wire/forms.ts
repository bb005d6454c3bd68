/** Registry of the known usage formats. */

import { isObject, type Json } from "../json.js";
import { readAnthropic } from "./anthropic.js";
import { readBedrock } from "./bedrock.js";
import { readCohere, readOllama } from "./cohere.js";
import { type Counts, isGiven } from "./counts.js";
import { readGemini } from "./gemini.js";
import { readChat, readDuration } from "./openai.js";
import { readOpenInference, readOpenTelemetry } from "./telemetry.js";
import { readTotals } from "./totals.js";
import { readVercel } from "./vercel.js";

/** One usage format: one of its `counts`, or one of its `objects`, identifies it. */
export interface Form {
  readonly name: string;
  readonly read: (usage: Json, counts: Counts) => void;
  readonly counts: readonly string[];
  readonly objects?: readonly string[];
}

const TELEMETRY = ["input_tokens", "prompt_tokens", "output_tokens", "completion_tokens", "total_tokens"];
const GEMINI = ["prompt", "candidates", "response", "total"];

/** The most specific format first: Anthropic's own names precede the plain `input_tokens`. */
const FORMS: readonly Form[] = [
  {
    name: "OpenTelemetry, OpenLLMetry",
    read: readOpenTelemetry,
    counts: [...TELEMETRY.map((name) => `gen_ai.usage.${name}`), ...TELEMETRY.map((name) => `llm.usage.${name}`)],
  },
  {
    name: "OpenInference",
    read: readOpenInference,
    counts: ["prompt", "completion", "total"].map((name) => `llm.token_count.${name}`),
  },
  {
    name: "Gemini, Gemini Live",
    read: readGemini,
    counts: [...GEMINI.map((name) => `${name}TokenCount`), ...GEMINI.map((name) => `${name}_token_count`)],
  },
  {
    name: "Amazon Bedrock",
    read: readBedrock,
    counts: [
      ...["cacheReadInputTokens", "cacheWriteInputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"],
      ...["inputTokenCount", "outputTokenCount"],
    ],
    objects: ["serverToolUsage"],
  },
  {
    name: "Vercel AI SDK 4 to 6",
    read: readVercel,
    counts: ["inputTokens", "outputTokens", "promptTokens", "completionTokens", "totalTokens"],
  },
  { name: "Cohere", read: readCohere, counts: [], objects: ["billed_units", "tokens"] },
  {
    name: "OpenAI chat completions and embeddings, OpenRouter, xAI, DeepSeek, LiteLLM",
    read: readChat,
    counts: ["prompt_tokens", "completion_tokens"],
    objects: ["prompt_tokens_details", "completion_tokens_details"],
  },
  {
    name: "Anthropic",
    read: readAnthropic,
    counts: ["cache_read_input_tokens", "cache_creation_input_tokens"],
    objects: ["cache_creation", "server_tool_use"],
  },
  {
    name: "OpenAI responses, images, realtime, transcriptions and agents, LangChain, pydantic-ai",
    read: readTotals,
    counts: ["input_tokens", "output_tokens", "total_tokens"],
  },
  { name: "Ollama", read: readOllama, counts: ["prompt_eval_count", "eval_count"] },
  { name: "Transcription by time", read: readDuration, counts: ["seconds"] },
];

/** Return the format of `usage`; undefined if it is not known. */
export function formOf(usage: Json): Form | undefined {
  return FORMS.find(
    (form) =>
      form.counts.some((name) => isGiven(usage[name])) || (form.objects ?? []).some((name) => isObject(usage[name])),
  );
}
