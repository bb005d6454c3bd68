/** Reader of the usage in a provider's reply. */

import { Decimal } from "../decimal.js";
import { isObject, type Json } from "../json.js";
import { COUNT_LIMIT, Counts, first, isGiven, part } from "./counts.js";
import { type Form, formOf } from "./forms.js";
import { METADATA, metadataCounts } from "./vercel.js";

/** The usage that a reply reports. */
export interface Reading {
  /** By canonical name, without zeros; `input_tokens` and `output_tokens` are totals. */
  readonly counts: Readonly<Record<string, number>>;
  readonly model: string | null;
  readonly provider: string | null;
  /** Only if its price may differ from the standard one. */
  readonly serviceTier: string | null;
  /** The reported total, if it differs from the sum of the counts read. */
  readonly contradictedTotal: number | null;
  /** By how much that total exceeds the counts read; `counts` includes them as output. */
  readonly missingTokens: number;
  /** The cost that the provider reported, rounded up to at most 12 places. */
  readonly reportedCostUsd: Decimal | null;
}

const NAME_LENGTH = 255;
const MODEL = [
  ...["model", "modelVersion", "model_version", "model_name", "gen_ai.response.model", "gen_ai.request.model"],
  ...["llm.model_name", "modelId", "model_id"],
];
const PROVIDER = ["gen_ai.provider.name", "gen_ai.system", "custom_llm_provider", "llm.provider"];
const ROOTS = [
  ...["totalUsage", "usage", "usageMetadata", "usage_metadata", "response_metadata", "message", "response", "meta"],
  "attributes",
];
const COST_PLACES = 12;
const TICK_DIGITS = 10;
const USUAL_TIERS = new Set(["auto", "default", "standard", ""]);

/**
 * Return the usage in a reply, or in the usage object itself; null if it holds no known usage format.
 *
 * @throws UnreadableUsageError the format is known, but one of its counts is not a whole number from 0 to 10⁹.
 */
export function readUsage(body: Json): Reading | null {
  const found = find(body);
  if (found === null) return null;
  const [form, own] = found;
  const metadata = metadataCounts(body);
  const usage = Object.keys(metadata).length > 0 ? { ...own, [METADATA]: metadata } : own;
  const counts = new Counts();
  form.read(usage, counts);
  if (!counts.reported) return null;
  if (counts.get("web_searches") === 0) counts.add("web_searches", searchesIn(body));
  return {
    counts: counts.values,
    model: modelIn(body),
    provider: textIn(body, PROVIDER),
    serviceTier: tierIn(body) ?? tierIn(usage),
    contradictedTotal: counts.contradicted,
    missingTokens: counts.missing,
    reportedCostUsd: costIn(body, usage),
  };
}

/** Return the model named in a reply. */
export function modelIn(body: Json): string | null {
  return textIn(body, MODEL);
}

/** Return the service tier named in a reply, if its price may differ from the standard one. */
export function tierIn(body: Json): string | null {
  const given = first(body, "service_tier", "speed", "serviceTier");
  const tier = isObject(given) ? part(body, "serviceTier")["type"] : given;
  return isName(tier) && !USUAL_TIERS.has(tier) ? tier : null;
}

/** Return the number of web searches in a complete response of OpenAI; opening or searching a page does not count. */
function searchesIn(body: Json): number {
  const output = first(body, "output");
  const items = isTruthy(output) ? output : part(body, "response")["output"];
  const calls = Array.isArray(items) ? items.filter(isObject) : [];
  return calls.filter(
    (call) => call["type"] === "web_search_call" && (part(call, "action")["type"] ?? "search") === "search",
  ).length;
}

function isTruthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Return the cost reported by OpenRouter, LiteLLM, Perplexity or xAI. */
function costIn(body: Json, usage: Json): Decimal | null {
  const nested = part(usage, "cost")["total_cost"];
  let cost = isGiven(nested) ? nested : first({ ...usage, ...part(body, "_hidden_params") }, "cost", "response_cost");
  cost ??= body["response_cost"];
  const ticks = usage["cost_in_usd_ticks"];
  if (!isGiven(cost) && typeof ticks === "number" && Number.isSafeInteger(ticks))
    cost = Decimal.parse(`${ticks}e-${TICK_DIGITS}`);
  if (typeof cost === "number" && Number.isFinite(cost) && cost < COUNT_LIMIT && cost > 0) cost = exact(cost);
  if (!(cost instanceof Decimal) || cost.compare(0) <= 0 || cost.compare(COUNT_LIMIT) >= 0) return null;
  return cost.ceiling(COST_PLACES);
}

/** Return the shortest decimal that reads back as this number; a cost too small for it counts as the smallest one. */
function exact(cost: number): Decimal {
  return Decimal.parse(cost < 1e-40 ? "1e-40" : String(cost));
}

/** Return the usage object and its format: the body itself, or one of its parts. */
function find(body: Json): [Form, Json] | null {
  const form = formOf(body);
  if (form !== undefined) return [form, body];
  for (const root of ROOTS) {
    const value = body[root];
    const found = isObject(value) ? find(value) : null;
    if (found !== null) return found;
  }
  return null;
}

function textIn(body: Json, names: readonly string[]): string | null {
  const sources = [body, ...["response_metadata", "message", "response"].map((name) => part(body, name))];
  return sources.flatMap((source) => names.map((name) => source[name])).find(isName) ?? null;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= NAME_LENGTH;
}
