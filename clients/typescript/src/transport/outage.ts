/**
 * Outage policy of features, and the debt it allows.
 *
 * While the gateway is unavailable a feature refuses uses, or runs on a bounded debt that is settled later.
 */

import { type Amount, Decimal } from "../decimal.js";

/** The outage policy of a feature. */
export interface Outage {
  /** Maximum credits of uses that are not settled yet, per process; 0 refuses all uses. */
  readonly debtLimitCredits: Amount;
  /** The credits counted for a use without an estimate in credits; 1 by default. */
  readonly creditsPerUse?: Amount;
}

/** Refuse all uses; the default. */
export const CLOSED: Outage = { debtLimitCredits: 0 };

interface Debt {
  readonly feature: string;
  readonly credits: Decimal;
}

/**
 * Uses that ran without a hold and are not settled yet, by feature.
 *
 * The policy of a feature is the one given for it, else the one that the gateway reported at the feature's last start, else the
 * default.
 */
export class OutageDebts {
  readonly #policies: Readonly<Record<string, Outage>>;
  readonly #usual: Outage;
  readonly #reported = new Map<string, Outage>();
  readonly #debts = new Map<string, Debt>();

  constructor(policies: Readonly<Record<string, Outage>>, usual: Outage) {
    this.#policies = policies;
    this.#usual = usual;
  }

  /** Store the policy that the gateway reports for a feature; a use counts for its last hold, or for 1 if that was 0. */
  learn(feature: string, limitCredits: Decimal | null, holdCredits: Decimal): void {
    const policy = { debtLimitCredits: limitCredits ?? 0, creditsPerUse: holdCredits.isZero() ? 1 : holdCredits };
    this.#reported.set(feature, limitCredits === null ? CLOSED : policy);
  }

  /** Count a use that an earlier process left in the spool. */
  owe(usageKey: string, feature: string, credits: Decimal): void {
    this.#debts.set(usageKey, { feature, credits });
  }

  /** Return whether this use may run on debt; if so, it counts as debt until `settled` is called. */
  admit(feature: string, usageKey: string, estimate: Decimal | null): boolean {
    const own = Object.hasOwn(this.#policies, feature) ? this.#policies[feature] : undefined;
    const policy = own ?? this.#reported.get(feature) ?? this.#usual;
    const credits = estimate ?? Decimal.of(policy.creditsPerUse ?? 1, "creditsPerUse");
    const limit = Decimal.of(policy.debtLimitCredits, "debtLimitCredits");
    if (limit.isZero() || this.total(feature).plus(credits).compare(limit) > 0) return false;
    this.owe(usageKey, feature, credits);
    return true;
  }

  /** Return the credits that this use counts for; 0 if it does not run on debt. */
  of(usageKey: string): Decimal {
    return this.#debts.get(usageKey)?.credits ?? Decimal.ZERO;
  }

  /** Remove a use whose settlement the gateway or the broker has stored. */
  settled(usageKey: string): void {
    this.#debts.delete(usageKey);
  }

  /** Return the debt of a feature in credits. */
  total(feature: string): Decimal {
    const owed = [...this.#debts.values()].filter((debt) => debt.feature === feature);
    return owed.reduce((sum, debt) => sum.plus(debt.credits), Decimal.ZERO);
  }
}
