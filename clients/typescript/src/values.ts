/** Values of the client's calls and answers; credits are `Decimal`. */

import { Decimal } from "./decimal.js";
import { isObject, type Json, objectOf } from "./json.js";
import type { Stored } from "./transport/delivery.js";

/** An authorised use, to be settled or voided by its `usageKey`. */
export interface Authorization {
  readonly userId: string;
  readonly feature: string;
  readonly usageKey: string;
  /** The free credits after the hold; null on debt. */
  readonly credits: Decimal | null;
  readonly balance: Decimal | null;
  readonly hold: Decimal;
  /** When the hold expires; null on debt. */
  readonly expiresAt: Date | null;
  /** `individual`, `pooled` (the organisation pays) or `recorded` (nobody is charged). */
  readonly charging: string;
  /** Models of the estimate that have no price. */
  readonly unpriced: readonly string[];
  /** The gateway was unavailable, and the feature's outage policy allowed the use without a hold. */
  readonly onDebt: boolean;
  /** The credits that uses of this feature may owe while the gateway is unavailable; null if none. */
  readonly outageLimitCredits: Decimal | null;
}

/** One priced line of a use; an unpriced one has neither cost nor credits. */
export interface PricedLine {
  readonly model: string | null;
  readonly provider: string | null;
  readonly credits: Decimal;
  readonly providerCostUsd: Decimal | null;
  readonly tokens: Readonly<Record<string, unknown>>;
  readonly priceVersion: string;
  readonly unpriced: boolean;
}

/** How a use ended. */
export interface UseResult {
  readonly userId: string;
  readonly usageKey: string;
  /** `pending`: it is accepted by a queue or the spool and settled later. */
  readonly state: "settled" | "pending" | "voided";
  /** What the payer paid; 0 for a voided use, null while pending. */
  readonly charged: Decimal | null;
  /** The price of the use; null while pending. */
  readonly consumed: Decimal | null;
  /** The part of the price that could not be paid. */
  readonly shortfall: Decimal;
  /** The payer's free credits; null while pending, and if the gateway did not answer a void. */
  readonly credits: Decimal | null;
  readonly balance: Decimal | null;
  /** Of `late, no_hold, over_hold, shortfall, unpriced, keyless, inconsistent`. */
  readonly flags: readonly string[];
  readonly details: readonly PricedLine[];
  /** Where a pending settlement is stored. */
  readonly by: Stored | null;
}

/** A wallet's credits. `free` is what new uses may take: balance and credit limit without held and earmarked credits. */
export interface Balance {
  readonly userId: string;
  readonly free: Decimal;
  readonly held: Decimal;
  readonly balance: Decimal;
  readonly creditLimit: Decimal;
  readonly plan: string | null;
  readonly status: string;
}

/** What a use would hold and cost now. Nothing is held or charged for it. */
export interface Quote {
  readonly userId: string;
  readonly feature: string;
  /** The price of the usage. */
  readonly credits: Decimal;
  /** The credits that a start would hold. */
  readonly hold: Decimal;
  /** The payer's credits that this feature may use. */
  readonly free: Decimal;
  /** Whether `free` covers the hold and the price; always true where nobody is charged. */
  readonly covered: boolean;
  readonly charging: string;
  readonly lines: readonly PricedLine[];
  readonly unpriced: readonly string[];
}

/** What became of the events of a call; a duplicate was counted before and is not counted again. */
export interface EventsResult {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: readonly { readonly index: number; readonly error: string }[];
}

/** A settled use: `creditsConsumed` is its price, `creditsCharged` what the payer paid. */
export interface FeatureUsage {
  readonly id: string;
  readonly usageKey: string;
  readonly userId: string;
  readonly organizationId: string | null;
  readonly feature: string;
  readonly creditsConsumed: Decimal;
  readonly creditsCharged: Decimal;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly executedAt: Date;
}

/** Return the authorisation in the answer to a start. */
export function readAuthorization(data: Json, feature: string): Authorization {
  return {
    userId: text(data, "user_id"),
    feature,
    usageKey: text(data, "usage_key"),
    credits: amount(data, "credits"),
    balance: amount(data, "balance"),
    hold: amount(data, "hold"),
    expiresAt: new Date(text(data, "expires_at")),
    charging: text(data, "charging"),
    unpriced: texts(data, "unpriced"),
    onDebt: false,
    outageLimitCredits: amountOrNull(data, "outage_limit_credits"),
  };
}

/** Return the authorisation of a use that runs without a hold, while the gateway is unavailable. */
export function onDebt(userId: string, feature: string, usageKey: string): Authorization {
  const unknown = { credits: null, balance: null, expiresAt: null, outageLimitCredits: null };
  return {
    userId,
    feature,
    usageKey,
    hold: Decimal.ZERO,
    charging: "individual",
    unpriced: [],
    onDebt: true,
    ...unknown,
  };
}

/** Return the result in the answer to a settlement. */
export function readSettlement(data: Json): UseResult {
  return {
    userId: text(data, "user_id"),
    usageKey: text(data, "usage_key"),
    state: "settled",
    charged: amount(data, "charged"),
    consumed: amountOrNull(data, "consumed") ?? amount(data, "charged"),
    shortfall: amount(data, "shortfall"),
    credits: amount(data, "credits"),
    balance: amount(data, "balance"),
    flags: texts(data, "flags"),
    details: readLines(data, "details"),
    by: null,
  };
}

/** Return the result of a use that a queue or the spool settles later. */
export function pending(userId: string, usageKey: string, by: Stored): UseResult {
  const unknown = { charged: null, consumed: null, credits: null, balance: null };
  return { userId, usageKey, state: "pending", shortfall: Decimal.ZERO, flags: [], details: [], by, ...unknown };
}

/** Return the result of a use for which nothing is charged; without `data` the gateway did not answer. */
export function voided(userId: string, usageKey: string, data: Json = {}): UseResult {
  const nothing = {
    charged: Decimal.ZERO,
    consumed: Decimal.ZERO,
    shortfall: Decimal.ZERO,
    flags: [],
    details: [],
    by: null,
  };
  const left = { credits: amountOrNull(data, "credits"), balance: amountOrNull(data, "balance") };
  return { userId, usageKey, state: "voided", ...nothing, ...left };
}

/** Return the balance in the answer about a wallet. */
export function readBalance(data: Json): Balance {
  return {
    userId: text(data, "owner_id"),
    free: amount(data, "credits"),
    held: amount(data, "held"),
    balance: amount(data, "balance"),
    creditLimit: amount(data, "credit_limit"),
    plan: textOrNull(data, "plan"),
    status: text(data, "status"),
  };
}

/** Return the balance of an owner who has no wallet yet: what the first use would find. */
export function newBalance(userId: string, credits: Decimal): Balance {
  return {
    userId,
    free: credits,
    held: Decimal.ZERO,
    balance: credits,
    creditLimit: Decimal.ZERO,
    plan: null,
    status: "new",
  };
}

/** Return the quote in the answer to one. */
export function readQuote(data: Json): Quote {
  return {
    userId: text(data, "user_id"),
    feature: text(data, "feature_key"),
    credits: amount(data, "price"),
    hold: amount(data, "hold"),
    free: amount(data, "credits"),
    covered: data["covered"] === true,
    charging: text(data, "charging"),
    lines: readLines(data, "details"),
    unpriced: texts(data, "unpriced"),
  };
}

/** Return the settled use in an answer. */
export function readFeatureUsage(data: Json): FeatureUsage {
  return {
    id: text(data, "id"),
    usageKey: text(data, "usage_key"),
    userId: text(data, "user_id"),
    organizationId: textOrNull(data, "organization_id"),
    feature: text(data, "feature_key"),
    creditsConsumed: amount(data, "credits_consumed"),
    creditsCharged: amount(data, "credits_charged"),
    metadata: objectOf(data["metadata"]),
    executedAt: new Date(text(data, "executed_at")),
  };
}

/** Return what became of the events of one call, whose first event has the index `first`. */
export function readEvents(data: Json, first: number): EventsResult {
  const rejected = Array.isArray(data["rejected"]) ? data["rejected"].filter(isObject) : [];
  return {
    accepted: Number(data["accepted"]),
    duplicates: Number(data["duplicates"]),
    rejected: rejected.map((item) => ({ index: first + Number(item["index"]), error: text(item, "error") })),
  };
}

/** Return the amount in a field of an answer; null if it is absent. */
export function amountOrNull(data: Json, name: string): Decimal | null {
  const value = data[name];
  return value === null || value === undefined ? null : Decimal.of(value as Decimal | number, name);
}

function readLines(data: Json, name: string): PricedLine[] {
  const lines = data[name];
  return Array.isArray(lines) ? lines.filter(isObject).map(readLine) : [];
}

function readLine(line: Json): PricedLine {
  return {
    model: textOrNull(line, "ai_model"),
    provider: textOrNull(line, "provider"),
    credits: amount(line, "credits"),
    providerCostUsd: amountOrNull(line, "provider_cost_usd"),
    tokens: objectOf(line["tokens"]),
    priceVersion: text(line, "price_version"),
    unpriced: line["unpriced"] === true,
  };
}

function amount(data: Json, name: string): Decimal {
  return amountOrNull(data, name) ?? Decimal.ZERO;
}

function text(data: Json, name: string): string {
  return textOrNull(data, name) ?? "";
}

function textOrNull(data: Json, name: string): string | null {
  const value = data[name];
  return typeof value === "string" ? value : null;
}

function texts(data: Json, name: string): string[] {
  const value = data[name];
  return Array.isArray(value) ? value.map(String) : [];
}
