/** Amounts are exact, and wrong values are refused with their name. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Decimal, InvalidError, newId, parseExact, writeExact } from "../src/index.js";
import { errorOf, InsufficientCreditsError, RateLimitedError, UnavailableError } from "../src/errors.js";
import { lineBody, lineOf } from "../src/wire/count-names.js";
import { pauseSeconds, retryAfterSeconds } from "../src/transport/retrying.js";

test("sums of decimals are exact", () => {
  assert.equal(Decimal.of("0.1").plus("0.2").toString(), "0.3");
  assert.equal(Decimal.of("123456789.123456").minus("0.000001").toString(), "123456789.123455");
  assert.equal(Decimal.of("-0.5").plus(1).toString(), "0.5");
  assert.equal(
    Decimal.of(10n ** 30n)
      .plus("1e-6")
      .toString(),
    `1${"0".repeat(30)}.000001`,
  );
});

test("a decimal is written in plain digits without trailing zeros", () => {
  const forms = { "1e-7": "0.0000001", "1.50": "1.5", "-0.0": "0", "2E3": "2000", ".5": "0.5" };
  for (const [text, plain] of Object.entries(forms)) assert.equal(Decimal.parse(text).toString(), plain);
});

test("decimals are compared by value, and never as texts", () => {
  assert.equal(Decimal.of("10").compare("9"), 1);
  assert.ok(Decimal.of("1.0").equals(1));
  assert.throws(() => (Decimal.of(10) as unknown as number) < 9, /compare\(\)/);
});

test("an amount that is not exact is refused", () => {
  for (const wrong of [0.1, Number.NaN, 2 ** 53, "1,5", "", "ten", "1e9999", "."]) {
    assert.throws(
      () => Decimal.of(wrong, "estimate"),
      (error) => error instanceof InvalidError && error.param === "estimate",
      String(wrong),
    );
  }
});

test("a number in JSON keeps all its digits, both ways", () => {
  const text = '{"a":0.1,"b":12345678901234567890,"c":7,"d":["1.5",-2.50e1],"e":"say \\"0.1\\"","f":null}';
  const found = parseExact(text) as Record<string, unknown>;
  assert.ok(found["a"] instanceof Decimal && found["b"] instanceof Decimal);
  assert.equal(found["c"], 7);
  assert.equal(
    writeExact(found),
    '{"a":0.1,"b":12345678901234567890,"c":7,"d":["1.5",-25],"e":"say \\"0.1\\"","f":null}',
  );
  for (const wrong of ["01", "1.", "{", "[1.5.5]", "NaN"]) assert.throws(() => parseExact(wrong), SyntaxError);
});

test("what has no JSON form is refused, and its field named", () => {
  assert.throws(() => writeExact({ metadata: { rate: Number.NaN } }), /metadata.rate is NaN/);
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  assert.throws(() => writeExact(loop), /nested deeper/);
  assert.equal(writeExact({ at: new Date(0), gone: undefined }), '{"at":"1970-01-01T00:00:00.000Z"}');
});

test("usage is sent under the names of the gateway", () => {
  const line = lineOf({
    model: "gpt-4o",
    inputTokens: 10,
    cacheWrite5mTokens: 3,
    outputTokens: 0,
    reportedCostUsd: "0.25",
  });
  assert.equal(
    writeExact(lineBody(line)),
    '{"ai_model":"gpt-4o","input_tokens":10,"output_tokens":0,"reported_cost_usd":0.25,"cache_write_5m_tokens":3}',
  );
});

test("a count that is not known or not whole is refused, and a near name suggested", () => {
  assert.throws(
    () => lineOf({ model: "gpt-4o", input_tokens: 5 } as never),
    /usages.input_tokens is not known; did you mean inputTokens/,
  );
  assert.throws(() => lineOf({ model: "gpt-4o", inputTokens: 1.5 }), /usages.inputTokens must be a whole number/);
  assert.throws(() => lineOf({ model: "" }), /usages.model must name the model/);
});

test("errors are typed by their code, then by the status", () => {
  const refused = errorOf(402, {
    error: { code: "insufficient_credits", detail: "no", balance: Decimal.of("0.5"), required: 2, request_id: "r" },
  });
  assert.ok(refused instanceof InsufficientCreditsError);
  assert.deepEqual([refused.balance.toString(), refused.required.toString(), refused.requestId], ["0.5", "2", "r"]);
  assert.ok(errorOf(429, null) instanceof RateLimitedError && errorOf(429, null).retryable);
  assert.ok(errorOf(502, "<html>") instanceof UnavailableError);
  assert.equal(errorOf(418, { error: { code: "constructor" } }).code, "constructor");
  assert.equal(errorOf(418, {}).message, "the gateway answered 418");
});

test("a pause is at least what the server asks for, as a number or as a date", () => {
  const retry = { attempts: 4, baseSeconds: 0.1, capSeconds: 2, totalSeconds: 20 };
  assert.equal(retryAfterSeconds("3", 0), 3);
  assert.equal(retryAfterSeconds(new Date(5000).toUTCString(), 1000), 4);
  assert.equal(retryAfterSeconds("soon", 0), 0);
  for (let attempt = 1; attempt < 9; attempt++) {
    const pause = pauseSeconds(retry, attempt, 3);
    assert.ok(pause >= 3 && pause <= 5);
  }
});

test("ids are UUIDs of version 7 in the order of their making", () => {
  const ids = Array.from({ length: 5000 }, newId);
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
  assert.match(ids[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
