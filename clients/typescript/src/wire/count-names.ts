/** Names of counts, and the usage of models that they describe. */

import { type Amount, Decimal } from "../decimal.js";
import { InvalidError } from "../errors.js";
import { COUNT_LIMIT } from "./counts.js";

/** The counts that a line may hold; `input_tokens` and `output_tokens` are totals, the other tokens are parts of them. */
export const COUNT_NAMES = [
  ...(["input_tokens", "output_tokens"] as const),
  ...(["cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"] as const),
  ...(["output_reasoning_tokens", "output_citation_tokens", "input_tool_tokens"] as const),
  ...(["input_text_tokens", "output_text_tokens"] as const),
  ...(["input_audio_tokens", "output_audio_tokens", "cache_audio_read_tokens"] as const),
  ...(["input_image_tokens", "output_image_tokens", "cache_image_read_tokens"] as const),
  ...(["input_video_tokens", "output_video_tokens", "cache_video_read_tokens"] as const),
  ...(["audio_seconds", "input_audio_seconds", "output_audio_seconds"] as const),
  ...(["input_characters", "input_text_messages", "input_pixels"] as const),
  ...(["input_document_pages", "input_annotated_document_pages"] as const),
  ...(["web_searches", "social_searches", "storage_searches", "rerank_searches", "code_executions"] as const),
];

type Camel<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<Camel<Rest>>}`
  : Name;

/** Counts in camelCase, such as `inputTokens` or `cacheReadTokens`; the totals include all their parts. */
export type Counted = { readonly [Name in (typeof COUNT_NAMES)[number] as Camel<Name>]?: number };

/** What one model did in one use of a feature. */
export interface ModelUsage extends Counted {
  readonly model: string;
  /** The provider; inferred from the model if it is left out. */
  readonly provider?: string;
  /** `flex`, `priority`, `batch`, … where prices differ by it. */
  readonly serviceTier?: string;
  /** The total that the provider reported; the gateway compares it with the counts. */
  readonly totalTokens?: number;
  /** The cost that the provider reported. */
  readonly reportedCostUsd?: Amount;
}

/** A line of usage as the gateway reads it, with canonical counts. */
export interface Line {
  readonly model: string;
  readonly provider: string | null;
  readonly serviceTier: string | null;
  readonly tokens: Readonly<Record<string, number>>;
  readonly totalTokens: number | null;
  readonly reportedCostUsd: Decimal | null;
}

const BY_CAMEL: ReadonlyMap<string, string> = new Map(
  COUNT_NAMES.map((name) => [name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()), name]),
);
const OTHER_FIELDS = new Set(["model", "provider", "serviceTier", "totalTokens", "reportedCostUsd"]);

/**
 * Return the line of a model's usage.
 *
 * @throws InvalidError a field is not known, or a count is not a whole number from 0 to 10⁹.
 */
export function lineOf(usage: ModelUsage, param = "usages"): Line {
  if (typeof usage?.model !== "string" || usage.model === "") {
    throw new InvalidError(`${param}.model must name the model, such as "gpt-4o"`, { param: `${param}.model` });
  }
  const tokens: Record<string, number> = {};
  for (const [field, value] of Object.entries(usage)) {
    if (OTHER_FIELDS.has(field) || value === undefined) continue;
    tokens[canonicalName(field, param)] = checkedCount(value, `${param}.${field}`);
  }
  return {
    model: usage.model,
    provider: usage.provider ?? null,
    serviceTier: usage.serviceTier ?? null,
    tokens,
    totalTokens: usage.totalTokens === undefined ? null : checkedCount(usage.totalTokens, `${param}.totalTokens`),
    reportedCostUsd:
      usage.reportedCostUsd === undefined ? null : Decimal.of(usage.reportedCostUsd, `${param}.reportedCostUsd`),
  };
}

/** Return the body of one line. Both totals are always sent: a line without counts is sent with zeros. */
export function lineBody(line: Line): Record<string, unknown> {
  const { input_tokens = 0, output_tokens = 0, ...more } = line.tokens;
  return {
    ai_model: line.model,
    input_tokens,
    output_tokens,
    ...(line.provider === null ? {} : { provider: line.provider }),
    ...(line.serviceTier === null ? {} : { service_tier: line.serviceTier }),
    ...(line.totalTokens === null ? {} : { total_tokens: line.totalTokens }),
    ...(line.reportedCostUsd === null ? {} : { reported_cost_usd: line.reportedCostUsd }),
    ...Object.fromEntries(Object.entries(more).filter(([, count]) => count > 0)),
  };
}

function canonicalName(field: string, param: string): string {
  const name = BY_CAMEL.get(field);
  if (name !== undefined) return name;
  const meant = [...BY_CAMEL].find(([, snake]) => snake === field)?.[0];
  const advice = meant === undefined ? `use one of ${[...BY_CAMEL.keys()].join(", ")}` : `did you mean ${meant}?`;
  throw new InvalidError(`${param}.${field} is not known; ${advice}`, { param: `${param}.${field}` });
}

function checkedCount(value: unknown, param: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= COUNT_LIMIT) return value;
  throw new InvalidError(`${param} must be a whole number from 0 to 10⁹, not ${String(value)}`, { param });
}
