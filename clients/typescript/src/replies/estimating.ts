/**
 * Token estimates from the text of requests and replies.
 *
 * No tokenizer is used: about four characters of ASCII text are one token, two of other alphabets, one of Chinese, Japanese and
 * Korean. Settlements with estimated counts are marked as such.
 */

import { isObject, type Json } from "../json.js";

const FIRST_CJK = 0x2e80;
/** Tokens of the frame of one message. */
const MESSAGE_TOKENS = 4;
/** Tokens of an image or a document of unknown size. */
const MEDIA_TOKENS = 1000;
const REQUEST_FIELDS = [
  ...["messages", "input", "inputs", "prompt", "instructions", "system"],
  ...["tools", "functions", "response_format", "text", "questions"],
];
const MEDIA = new Set<unknown>(["image", "image_url", "input_image", "document", "file", "input_file", "input_audio"]);
const UNCOUNTED = new Set([
  "type",
  "role",
  "id",
  "cache_control",
  "detail",
  "encoding_format",
  "model",
  "url",
  "data",
  "file_id",
]);
/** Field names that the model does not read as text, unlike the names of tools and of their parameters. */
const FRAME = new Set(["content", "parts", "text"]);
const TEXT_FIELDS = [
  ...[
    "content",
    "text",
    "refusal",
    "reasoning_content",
    "thinking",
    "partial_json",
    "arguments",
    "delta",
    "output_text",
  ],
];
const NESTED_FIELDS = [
  ...["choices", "delta", "message", "content", "output", "tool_calls", "function"],
  ...["candidates", "parts", "contentBlockDelta", "response"],
];

/** Return the estimated tokens of a text; 0 only for the empty text. */
export function textTokens(text: string): number {
  let quarters = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0)!;
    quarters += point < 0x80 ? 1 : point >= FIRST_CJK ? 4 : 2;
  }
  return Math.ceil(quarters / 4);
}

/** Return the estimated tokens of a request to a model, its tools and images included. */
export function requestTokens(body: Json): number {
  return sum(REQUEST_FIELDS.filter((name) => name in body).map((name) => weight(body[name])));
}

/** Return the estimated tokens of the content in a reply, or in one event of its stream. */
export function replyTokens(value: unknown): number {
  if (Array.isArray(value)) return sum(value.map(replyTokens));
  if (!isObject(value)) return 0;
  const texts = TEXT_FIELDS.map((name) => value[name]).filter((text) => typeof text === "string");
  const inner = NESTED_FIELDS.map((name) => value[name]).filter((item) => isObject(item) || Array.isArray(item));
  return sum(texts.map(textTokens)) + sum(inner.map(replyTokens));
}

function weight(value: unknown): number {
  if (typeof value === "string") return textTokens(value);
  if (Array.isArray(value)) return sum(value.map((item) => (Number.isInteger(item) ? 1 : weight(item))));
  return isObject(value) && !ArrayBuffer.isView(value) ? objectWeight(value) : 0;
}

function objectWeight(item: Json): number {
  if (MEDIA.has(item["type"])) return MEDIA_TOKENS;
  const counted = Object.entries(item).filter(([name]) => !UNCOUNTED.has(name));
  const inside = sum(counted.map(([name, value]) => (FRAME.has(name) ? 0 : textTokens(name)) + weight(value)));
  return inside + ("role" in item ? MESSAGE_TOKENS : 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
