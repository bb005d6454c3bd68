/** A use that is to be authorised, and the bodies of its calls. */

import { type Amount, Decimal } from "./decimal.js";
import { InvalidError } from "./errors.js";
import { newId } from "./ids.js";
import { type Line, lineBody, lineOf, type ModelUsage } from "./wire/count-names.js";

/** The expected cost in credits, or the expected usage of models; the hold covers it. */
export type Estimate = Amount | readonly ModelUsage[];

export type Metadata = Readonly<Record<string, unknown>>;

export interface UseOptions {
  /** The usage key; a new one by default. A key counts once. */
  readonly key?: string | undefined;
  readonly estimate?: Estimate | undefined;
  /** The organisation that the user belongs to; its pool pays if it has one. */
  readonly organization?: string | undefined;
  readonly email?: string | undefined;
  /** The lifetime of the hold should this process end (1 to 86,400). */
  readonly ttlSeconds?: number | undefined;
  readonly metadata?: Metadata | undefined;
}

/** A use that is to be authorised, with checked values. */
export interface ChargeRequest {
  readonly feature: string;
  readonly userId: string;
  readonly usageKey: string;
  readonly estimatedCredits: Decimal | null;
  readonly estimatedLines: readonly Line[];
  readonly organization: string | null;
  readonly email: string | null;
  readonly ttlSeconds: number | null;
  readonly metadata: Metadata;
}

/**
 * Return the request for a use, with a new usage key unless one is given.
 *
 * @throws InvalidError feature or user is not a text, or the estimate is neither credits of at least 0 nor usage of models.
 */
export function chargeRequest(feature: string, userId: string, options: UseOptions = {}): ChargeRequest {
  const { estimate } = options;
  return {
    feature: checkedText(feature, "feature"),
    userId: checkedText(userId, "user"),
    usageKey: options.key === undefined ? newId() : checkedText(options.key, "key"),
    estimatedCredits: estimate === undefined || isUsage(estimate) ? null : checkedEstimate(estimate),
    estimatedLines: estimate !== undefined && isUsage(estimate) ? linesIn(estimate, "estimate") : [],
    organization: options.organization ?? null,
    email: options.email ?? null,
    ttlSeconds: options.ttlSeconds ?? null,
    metadata: options.metadata ?? {},
  };
}

/** Return the body of a start. */
export function startBody(request: ChargeRequest): object {
  return {
    user_id: request.userId,
    feature_endpoint_id: request.feature,
    usage_key: request.usageKey,
    ...estimateFields(request),
    ...(request.email === null ? {} : { user_email: request.email }),
    ...(request.ttlSeconds === null ? {} : { ttl_seconds: request.ttlSeconds }),
  };
}

/** Return the body of a quote: the estimate of a start, and the usage to be priced. */
export function quoteBody(request: ChargeRequest, usages: readonly Line[]): object {
  return {
    user_id: request.userId,
    feature_endpoint_id: request.feature,
    ...(usages.length === 0 ? {} : { usages: usages.map(lineBody) }),
    ...estimateFields(request),
  };
}

export interface Settlement {
  readonly feature: string;
  readonly userId: string;
  readonly usageKey: string;
  readonly lines: readonly Line[];
  readonly organization: string | null;
  readonly durationMs: number | null;
  readonly metadata: Metadata;
}

/** Return the body of a settlement, for HTTP and for the queue. */
export function settlementBody(settlement: Settlement): object {
  return {
    user_id: settlement.userId,
    usage_key: settlement.usageKey,
    feature_endpoint_id: settlement.feature,
    usages: settlement.lines.map(lineBody),
    ...(settlement.organization === null ? {} : { organization_id: settlement.organization }),
    ...(settlement.durationMs === null ? {} : { duration: settlement.durationMs }),
    ...metadataField(settlement.metadata),
  };
}

/** Return the body of a use that is recorded in one call; it always has a usage key, so that its repetitions count as one use. */
export function recordBody(settlement: Settlement): object {
  return {
    user_id: settlement.userId,
    usage_key: settlement.usageKey,
    feature_key: settlement.feature,
    ...(settlement.lines.length === 0 ? {} : { usages: settlement.lines.map(lineBody) }),
    ...(settlement.organization === null ? {} : { organization_id: settlement.organization }),
    ...metadataField(settlement.metadata),
  };
}

/** Return the lines of models' usage. */
export function linesIn(usages: readonly ModelUsage[], param: string): Line[] {
  if (!Array.isArray(usages))
    throw new InvalidError(`${param} must be a list, such as [{ model: "gpt-4o", inputTokens: 10 }]`, { param });
  return usages.map((usage: ModelUsage, index) => lineOf(usage, `${param}[${index}]`));
}

/**
 * Return a text that is not empty.
 *
 * @throws InvalidError it is another value; the error names `param`.
 */
export function checkedText(value: string, param: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new InvalidError(
    `${param} must be a text that is not empty, not ${value === "" ? "an empty one" : typeof value}`,
    { param },
  );
}

function estimateFields(request: ChargeRequest): object {
  return {
    ...(request.estimatedCredits === null ? {} : { estimated_credits: request.estimatedCredits }),
    ...(request.estimatedLines.length === 0 ? {} : { estimated_usages: request.estimatedLines.map(lineBody) }),
    ...(request.organization === null ? {} : { organization_id: request.organization }),
    ...metadataField(request.metadata),
  };
}

function metadataField(metadata: Metadata): object {
  return Object.keys(metadata).length === 0 ? {} : { metadata };
}

function isUsage(estimate: Estimate): estimate is readonly ModelUsage[] {
  return Array.isArray(estimate);
}

function checkedEstimate(estimate: Amount): Decimal {
  const credits =
    typeof estimate === "object" && !(estimate instanceof Decimal) ? null : Decimal.of(estimate, "estimate");
  if (credits !== null && credits.compare(0) >= 0) return credits;
  throw new InvalidError(
    "estimate must be credits of at least 0, or a list of usage such as [{ model, inputTokens }]",
    { param: "estimate" },
  );
}
