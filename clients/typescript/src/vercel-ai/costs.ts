/** Costs of a call in the AI SDK's `providerMetadata.faregate`. */

import { Decimal } from "../decimal.js";
import { isObject, objectOf } from "../json.js";
import type { Use } from "../use.js";
import type { UseResult } from "../values.js";

/** `providerMetadata.faregate` of a call; credits are texts, so that they stay exact. */
export type CallCosts = {
  /** The use that the call belongs to. */
  usageKey: string;
  /** `open`: the call is part of a use that has not ended; its cost is in the result of `credits.use(…)`. */
  state: "settled" | "pending" | "voided" | "open";
  /** What the payer paid; null while it is not known. */
  charged: string | null;
  /** The payer's free credits; null while they are not known. */
  credits: string | null;
  /** The part of the price that could not be paid. */
  shortfall: string;
};

/** Return the costs of a call that was a use of its own. */
export function costsOf(result: UseResult): CallCosts {
  const { usageKey, state, charged, credits, shortfall } = result;
  return {
    usageKey,
    state,
    charged: charged?.toString() ?? null,
    credits: credits?.toString() ?? null,
    shortfall: shortfall.toString(),
  };
}

/** Return what is known of a call within a use that has not ended. */
export function openCosts(use: Use): CallCosts {
  return { usageKey: use.usageKey, state: "open", charged: null, credits: null, shortfall: "0" };
}

interface Step {
  readonly providerMetadata?: unknown;
}

/**
 * Return the credits that a result's calls were charged, all steps together; null if that is not known yet.
 *
 * `result` is what `generateText` returns, or `{ steps: await result.steps }` of `streamText`.
 */
export function creditsCharged(result: { readonly steps: readonly Step[] }): Decimal | null {
  let sum = Decimal.ZERO;
  for (const step of result.steps) {
    const costs = objectOf(step.providerMetadata)["faregate"];
    const charged = isObject(costs) ? costs["charged"] : undefined;
    if (typeof charged !== "string") return null;
    sum = sum.plus(Decimal.parse(charged));
  }
  return sum;
}
