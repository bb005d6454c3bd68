/** Accumulator of counts in the canonical form. */

import { Decimal } from "../decimal.js";
import { isObject, type Json } from "../json.js";

export const COUNT_LIMIT = 1_000_000_000;

/** A count of a known usage format is not a whole number from 0 to 10⁹. */
export class UnreadableUsageError extends Error {
  constructor(readonly field: string) {
    super(`${field} must be a whole number from 0 to 10⁹`);
    this.name = "UnreadableUsageError";
  }
}

/** Sums of counts by canonical name, without zeros. */
export class Counts {
  values: Record<string, number> = {};
  /** The reported total, if it differs from the sum of the counts; missing tokens were added as output. */
  contradicted: number | null = null;
  missing = 0;
  /** Some number was reported, even 0. */
  reported = false;

  get(name: string): number {
    return this.values[name] ?? 0;
  }

  /** Add a reported number; null counts as nothing. */
  add(name: string, value: unknown): void {
    const number = whole(value, name);
    this.reported ||= isGiven(value);
    if (number > 0) this.values[name] = this.get(name) + number;
  }

  /** Raise a sum to a reported number that may include the numbers added before. */
  atLeast(name: string, value: unknown): void {
    if (isGiven(value)) this.add(name, Math.max(0, whole(value, name) - this.get(name)));
  }

  /** Compare the counts with the reported total; `without` are parts that a provider may exclude from it. */
  expect(total: unknown, without: readonly number[] = []): void {
    this.reported ||= isGiven(total);
    const expected = whole(total, "total_tokens");
    const read = this.get("input_tokens") + this.get("output_tokens");
    if (expected === 0 || expected === read || without.some((part) => read - part === expected)) return;
    this.contradicted = expected;
    this.missing = Math.max(0, expected - read);
    if (this.missing > 0) this.values["output_tokens"] = this.get("output_tokens") + this.missing;
  }

  /** Add a reported duration, rounded up to whole units. */
  addStarted(name: string, value: unknown): void {
    if (value instanceof Decimal) return this.add(name, value.ceiling(0));
    this.add(name, typeof value === "number" && Number.isFinite(value) ? Math.ceil(value) : value);
  }
}

export function isGiven(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/** Return the objects of these names merged into one; values that are not objects are ignored. */
export function part(usage: Json, ...names: string[]): Json {
  return Object.assign({}, ...names.map((name) => usage[name]).filter(isObject)) as Json;
}

/** Return the first of these values that is given. */
export function first(usage: Json, ...names: string[]): unknown {
  return names.map((name) => usage[name]).find(isGiven) ?? null;
}

/** Return the fields that are given. */
export function givenIn(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isGiven(value)));
}

/** Return a getter for fields in camelCase, as an API writes them, or snake_case, as some SDKs' objects do. */
export function eitherCase(usage: Json): (name: string) => unknown {
  return (name) =>
    first(
      usage,
      name,
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    );
}

function whole(value: unknown, name: string): number {
  if (!isGiven(value)) return 0;
  const number = value instanceof Decimal ? value.toNumber() : value;
  if (typeof number !== "number" || !Number.isInteger(number) || number < 0 || number > COUNT_LIMIT) {
    throw new UnreadableUsageError(name);
  }
  return number;
}
