/** Exact decimal numbers for credits and costs. */

import { InvalidError } from "./errors.js";

/** What can be given for an amount. A `number` must be whole: write fractions as text, such as `"0.42"`. */
export type Amount = Decimal | bigint | number | string;

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;
const DIGITS_LIMIT = 64;

/**
 * A decimal number without rounding. Compare with `compare` or `equals`: `<` on two decimals throws, because it would compare
 * their texts. `toString` and `toJSON` return plain digits (`"0.42"`).
 */
export class Decimal {
  static readonly ZERO = new Decimal(0n, 0);

  readonly #digits: bigint;
  readonly #scale: number;

  private constructor(digits: bigint, scale: number) {
    while (scale > 0 && digits % 10n === 0n) {
      digits /= 10n;
      scale -= 1;
    }
    this.#digits = digits;
    this.#scale = scale;
  }

  /**
   * Return an exact amount.
   *
   * @throws InvalidError it is not a decimal number, or a `number` with a fraction.
   */
  static of(value: Amount, param = "amount"): Decimal {
    if (value instanceof Decimal) return value;
    if (typeof value === "bigint") return new Decimal(value, 0);
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      throw new InvalidError(`${param} must be exact: give "${value}" as text or as a Decimal, not as a number`, {
        param,
      });
    }
    return Decimal.parse(String(value), param);
  }

  /** Return the number that `text` writes, such as `0.42` or `1e-7`. */
  static parse(text: string, param = "amount"): Decimal {
    const found = FORM.exec(text.trim());
    const [, sign = "", whole = "", fraction = "", exponent = "0"] = found ?? [];
    const scale = fraction.length - Number(exponent);
    if (found === null || whole + fraction === "" || Math.abs(scale) > DIGITS_LIMIT || text.length > 2 * DIGITS_LIMIT) {
      throw new InvalidError(
        `${param} must be a decimal number such as "0.42", not ${JSON.stringify(text.slice(0, 40))}`,
        { param },
      );
    }
    const digits = BigInt(`${whole}${fraction}`) * (sign === "-" ? -1n : 1n);
    return scale < 0 ? new Decimal(digits * 10n ** BigInt(-scale), 0) : new Decimal(digits, scale);
  }

  plus(other: Amount): Decimal {
    const [ours, theirs, scale] = this.#aligned(Decimal.of(other));
    return new Decimal(ours + theirs, scale);
  }

  minus(other: Amount): Decimal {
    const [ours, theirs, scale] = this.#aligned(Decimal.of(other));
    return new Decimal(ours - theirs, scale);
  }

  /** Return -1, 0 or 1. */
  compare(other: Amount): -1 | 0 | 1 {
    const [ours, theirs] = this.#aligned(Decimal.of(other));
    return ours < theirs ? -1 : ours > theirs ? 1 : 0;
  }

  equals(other: Amount): boolean {
    return this.compare(other) === 0;
  }

  isZero(): boolean {
    return this.#digits === 0n;
  }

  /** Return the number rounded up (towards positive infinity) to `places` decimal places. */
  ceiling(places: number): Decimal {
    if (this.#scale <= places) return this;
    const unit = 10n ** BigInt(this.#scale - places);
    const quotient = this.#digits / unit;
    const exact = quotient * unit === this.#digits;
    return new Decimal(exact || this.#digits < 0n ? quotient : quotient + 1n, places);
  }

  /** Return a binary approximation, for charts and the like; not for money. */
  toNumber(): number {
    return Number(this.toString());
  }

  toString(): string {
    const negative = this.#digits < 0n;
    const digits = (negative ? -this.#digits : this.#digits).toString().padStart(this.#scale + 1, "0");
    const whole = digits.slice(0, digits.length - this.#scale);
    const fraction = this.#scale > 0 ? `.${digits.slice(-this.#scale)}` : "";
    return `${negative ? "-" : ""}${whole}${fraction}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.toPrimitive](hint: string): string {
    if (hint === "number")
      throw new TypeError("a Decimal is not converted to a number: use compare(), plus() and minus()");
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Decimal(${this.toString()})`;
  }

  #aligned(other: Decimal): [bigint, bigint, number] {
    const scale = Math.max(this.#scale, other.#scale);
    const ours = this.#digits * 10n ** BigInt(scale - this.#scale);
    const theirs = other.#digits * 10n ** BigInt(scale - other.#scale);
    return [ours, theirs, scale];
  }
}
