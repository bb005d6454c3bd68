/** This client reads providers' replies as the Python client and the gateway do. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Decimal } from "../src/decimal.js";
import { parseExact, writeExact } from "../src/json.js";
import { requestTokens, textTokens } from "../src/replies/estimating.js";
import { Observer } from "../src/replies/observer.js";
import { COUNT_NAMES, lineBody, type Line } from "../src/wire/count-names.js";
import { UnreadableUsageError } from "../src/wire/counts.js";
import { readUsage } from "../src/wire/reading.js";

const TEXT = readFileSync(new URL("../../test/vectors.json", import.meta.url), "utf8");
const SILENT = { warn: () => undefined, error: () => undefined };
/** As the gateway's answers are read, and as the SDKs of the providers read their replies. */
const PARSERS = { exact: parseExact, native: JSON.parse } as const;

interface Observation {
  readonly name: string;
  readonly events: readonly object[];
  readonly seen: readonly boolean[];
  readonly end: "complete" | "left" | "failed";
  readonly estimate: readonly Record<string, unknown>[];
}

for (const [parser, parse] of Object.entries(PARSERS)) {
  const vectors = parse(TEXT);

  test(`every reading is that of the Python reader, from ${parser} numbers`, () => {
    assert.ok(vectors.readings.length > 200);
    for (const { name, body, reading, error } of vectors.readings) {
      const expected = error === undefined ? canonical(reading) : { error };
      assert.equal(writeExact(readOrError(body)), writeExact(expected), name);
    }
  });

  test(`every stream is settled as by the Python client, from ${parser} numbers`, () => {
    assert.ok(vectors.observations.length > 50);
    for (const vector of vectors.observations) {
      const { usages, estimated, unread } = vector;
      assert.equal(
        writeExact(observed(vector)),
        writeExact({ seen: vector.seen, usages, estimated, unread }),
        vector.name,
      );
    }
  });
}

test("texts and requests are estimated as by the Python client", () => {
  const { texts, requests } = JSON.parse(TEXT);
  for (const { text, tokens } of texts) assert.equal(textTokens(text), tokens, text);
  for (const { body, tokens } of requests) assert.equal(requestTokens(body), tokens, JSON.stringify(body));
});

test("the names of counts are those of the gateway", () => {
  assert.deepEqual([...COUNT_NAMES], JSON.parse(TEXT).count_names);
});

function readOrError(body: Record<string, unknown>): object | null {
  try {
    const found = readUsage(body);
    if (found === null) return null;
    return canonical({
      counts: found.counts,
      model: found.model,
      provider: found.provider,
      service_tier: found.serviceTier,
      contradicted_total: found.contradictedTotal,
      missing_tokens: found.missingTokens,
      reported_cost_usd: found.reportedCostUsd,
    });
  } catch (error) {
    if (error instanceof UnreadableUsageError) return { error: error.field };
    throw error;
  }
}

/** Return a reading whose fields and counts have one order, and whose cost is a text. */
function canonical(reading: Record<string, unknown> | null): object | null {
  if (reading === null) return null;
  const cost = reading["reported_cost_usd"];
  return {
    ...Object.fromEntries(
      Object.entries({
        ...reading,
        reported_cost_usd: cost === null ? null : Decimal.parse(String(cost)).toString(),
      }).sort(),
    ),
    counts: Object.fromEntries(Object.entries(reading["counts"] as object).sort()),
  };
}

function observed({ events, end, estimate }: Observation): object {
  const observer = new Observer(SILENT);
  const whole = new Observer(SILENT);
  observer.expect("gpt-4o", 120);
  const seen = events.map((event) => seenBy(observer, event));
  if (end === "complete") observer.endWithoutUsage();
  else if (end === "failed") observer.fail();
  else observer.breakOff();
  whole.merge(observer);
  const lines = whole.lines(estimate.map(lineIn));
  return { seen, usages: lines.usages.map(lineBody), estimated: lines.estimated, unread: lines.unread };
}

function seenBy(observer: Observer, event: object): boolean {
  try {
    observer.observe(event);
    return true;
  } catch {
    return false;
  }
}

function lineIn({ ai_model, input_tokens, output_tokens }: Record<string, unknown>): Line {
  const tokens = { input_tokens: Number(input_tokens), output_tokens: Number(output_tokens) };
  return {
    model: String(ai_model),
    provider: null,
    serviceTier: null,
    tokens,
    totalTokens: null,
    reportedCostUsd: null,
  };
}
