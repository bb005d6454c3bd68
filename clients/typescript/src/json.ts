/** JSON with exact numbers. */

import { Decimal } from "./decimal.js";

export type Json = Readonly<Record<string, unknown>>;

const MARK = "\u0000decimal";
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;

/** Return whether a value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Decimal);
}

/** Return a JSON object as it is, and anything else as an empty one. */
export function objectOf(value: unknown): Json {
  return isObject(value) ? value : {};
}

/**
 * Parse JSON; whole numbers that a `number` holds exactly stay numbers, all others become `Decimal`.
 *
 * @throws SyntaxError not JSON.
 */
export function parseExact(text: string): unknown {
  const marked = text.replace(TOKENS, (token) =>
    token.startsWith('"') || (Number.isSafeInteger(Number(token)) && /^-?\d+$/.test(token))
      ? token
      : `{${JSON.stringify(MARK)}:"${token}"}`,
  );
  return JSON.parse(marked, (_name, value: unknown) => {
    const number = isObject(value) ? value[MARK] : undefined;
    return typeof number === "string" ? Decimal.parse(number) : value;
  });
}

/**
 * Write JSON; `Decimal` and `bigint` are written as exact numbers, `undefined` fields are left out.
 *
 * @throws TypeError a value has no JSON form; the text names the field.
 */
export function writeExact(value: unknown): string {
  return written(value, "", 0) ?? "null";
}

const DEPTH_LIMIT = 64;

function written(value: unknown, path: string, depth: number): string | undefined {
  if (depth > DEPTH_LIMIT)
    throw new TypeError(`${path.slice(0, 100)} is nested deeper than ${DEPTH_LIMIT} levels, or contains itself`);
  if (value instanceof Decimal || typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value))
    throw new TypeError(`${path || "the value"} is ${value}, which JSON cannot write`);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => written(item, `${path}[${index}]`, depth + 1) ?? "null").join(",")}]`;
  }
  if ("toJSON" in value && typeof value.toJSON === "function")
    return written((value.toJSON as () => unknown)(), path, depth + 1);
  const fields = Object.entries(value).flatMap(([name, item]) => {
    const text = written(item, path ? `${path}.${name}` : name, depth + 1);
    return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`];
  });
  return `{${fields.join(",")}}`;
}
