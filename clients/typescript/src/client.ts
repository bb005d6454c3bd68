/** Client of the gateway. */

import { within } from "./current.js";
import { Decimal } from "./decimal.js";
import { FaregateError, HoldClosedError, InvalidError, UnavailableError, UnknownUsageKeyError } from "./errors.js";
import { newId } from "./ids.js";
import { isObject } from "./json.js";
import { consoleLogger, type Logger } from "./logger.js";
import { FeatureLogs } from "./logs.js";
import {
  END_PATH,
  EVENTS_PATH,
  EXTEND_PATH,
  LOG_PATH,
  QUOTE_PATH,
  START_PATH,
  USAGE_PATH,
  VOID_PATH,
  walletPath,
} from "./paths.js";
import * as requests from "./request.js";
import type { ChargeRequest, Metadata, Settlement, UseOptions } from "./request.js";
import { Broker } from "./transport/broker.js";
import { Delivery } from "./transport/delivery.js";
import { GatewayConnection } from "./transport/gateway.js";
import { CLOSED, type Outage, OutageDebts } from "./transport/outage.js";
import { monotonicSeconds, type Retry, USUAL_RETRY } from "./transport/retrying.js";
import { Spool } from "./transport/spool.js";
import { type Closing, Use } from "./use.js";
import * as values from "./values.js";
import type { Authorization, Balance, EventsResult, FeatureUsage, Quote, UseResult } from "./values.js";
import type { ModelUsage } from "./wire/count-names.js";

const EVENTS_AT_ONCE = 100;
const SPOOL_BYTES = 64 * 1024 * 1024;
const MIN_TTL_SECONDS = 60;
/** Longest time for which the hold of one use is extended; also the longest lifetime of a hold. */
const MAX_SECONDS = 86_400;

export interface CreditsClientOptions {
  /** The address of the gateway, such as `https://credits.example.com`. */
  readonly baseUrl: string;
  /** A server key with the scope `credits:process` (`usage:write` for `recordUsage` and `recordEvents`, `wallets:read` for `balance`, `logs:write` for logs). */
  readonly apiKey: string;
  /** `amqp(s)://…`; with it, `settleByQueue` publishes (needs `npm install amqplib`). */
  readonly brokerUrl?: string | undefined;
  /** The directory for settlements and logs while the gateway is unavailable; without it they are kept in memory. */
  readonly spoolDir?: string | undefined;
  /** The outage policies of features, by feature. For others the policy applies that the gateway reported at the last start. */
  readonly outage?: Readonly<Record<string, Outage>> | undefined;
  /** The policy before the gateway has reported one; by default a use without a hold is refused. */
  readonly defaultOutage?: Outage | undefined;
  /** How uses settle: "api" answers with the cost, "queue" does not make the host wait. "queue" by default with a broker. */
  readonly settleVia?: "api" | "queue" | undefined;
  /** Time limit of one attempt; `retry.totalSeconds` limits a call with all its repetitions. */
  readonly timeoutSeconds?: number | undefined;
  readonly retry?: Partial<Retry> | undefined;
  readonly logger?: Logger | undefined;
  readonly fetch?: typeof fetch | undefined;
}

export interface SettleOptions {
  readonly organization?: string | undefined;
  readonly durationMs?: number | undefined;
  readonly metadata?: Metadata | undefined;
}

export interface QuoteOptions extends Pick<UseOptions, "estimate" | "organization" | "metadata"> {
  /** The usage to be priced; the estimate if there is none. */
  readonly usages?: readonly ModelUsage[] | undefined;
}

export interface RecordOptions extends Pick<UseOptions, "key" | "organization" | "metadata"> {
  readonly usages?: readonly ModelUsage[] | undefined;
}

/** What the callback of a use returned, and how the use ended. */
export interface Used<T> {
  readonly value: T;
  readonly result: UseResult;
}

/**
 * Calls one gateway. Create one per process and `close` it.
 *
 * All calls are idempotent; failed ones are repeated automatically within the bounds of `retry`. What an earlier process left in
 * the spool is sent from the start on.
 */
export class CreditsClient {
  /** Sends feature usage logs. */
  readonly logs: FeatureLogs;

  readonly #gateway: GatewayConnection;
  readonly #delivery: Delivery;
  readonly #debts: OutageDebts;
  readonly #logger: Logger;
  readonly #settleVia: "api" | "queue";
  readonly #open = new Set<Use>();
  readonly #owed: Promise<void>;

  constructor(options: CreditsClientOptions) {
    const { timeoutSeconds = 10 } = options;
    const logger = options.logger ?? consoleLogger;
    const gateway = new GatewayConnection({
      baseUrl: options.baseUrl,
      apiKey: options.apiKey,
      timeoutSeconds,
      retry: { ...USUAL_RETRY, ...options.retry },
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      breakerRestSeconds: 2,
    });
    const broker = options.brokerUrl === undefined ? null : new Broker(options.brokerUrl, timeoutSeconds);
    const spool = new Spool(options.spoolDir ?? null, SPOOL_BYTES, logger);
    this.#logger = logger;
    this.#gateway = gateway;
    this.#debts = new OutageDebts(options.outage ?? {}, options.defaultOutage ?? CLOSED);
    this.#delivery = new Delivery({
      ...{ gateway, broker, spool, logger, debts: this.#debts, pauseSeconds: 1 },
      onAnswer: (entry, data) => {
        if (entry.path === LOG_PATH) this.logs.countRejected(data);
      },
    });
    this.#settleVia = options.settleVia ?? (broker === null ? "api" : "queue");
    this.logs = new FeatureLogs(gateway, this.#delivery, logger);
    this.#owed = this.#readDebts(spool);
  }

  /**
   * Hold credits, run `work`, and settle what it used.
   *
   * In `work`, `use.observe(reply)` reads the usage that a provider's reply reports. If `work` throws before anything was
   * observed, the hold is voided; otherwise what was used until then is settled. The hold is extended while `work` runs.
   *
   * @throws InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, QuotaExceededError: `work` did not run.
   * @throws UnavailableError the gateway did not answer, and the feature's outage policy does not allow the use; `work` did not run.
   */
  async use<T>(
    feature: string,
    user: string,
    options: UseOptions,
    work: (use: Use) => Promise<T> | T,
  ): Promise<Used<T>> {
    const use = await this.#opened(feature, user, options, true);
    let value: T;
    try {
      value = await within(use, async () => work(use));
    } catch (failure) {
      await use.end(failure ?? new Error("nothing was thrown")).catch(() => undefined);
      throw failure;
    }
    return { value, result: await use.end() };
  }

  /**
   * Hold credits for a use that ends elsewhere, such as with a stream: call `end()` on it. See `use` for the errors.
   *
   * The hold is extended as long as something is observed in each half of its lifetime; `ttlSeconds` sets that lifetime.
   */
  open(feature: string, user: string, options: UseOptions = {}): Promise<Use> {
    return this.#opened(feature, user, options, false);
  }

  /**
   * Check whether this user may use this feature, and hold the credits; then `settle` or `void` it.
   *
   * @throws InsufficientCreditsError, AccessRefusedError, UnknownFeatureError, QuotaExceededError: do not run the feature.
   * @throws UnavailableError the gateway did not answer, and the feature's outage policy does not allow the use.
   */
  start(feature: string, user: string, options: UseOptions = {}): Promise<Authorization> {
    return this.#authorize(requests.chargeRequest(feature, user, options));
  }

  /**
   * Settle now and return the cost.
   *
   * @throws UnavailableError it is unknown whether the use was settled; repeat the call or use `settleByQueue`.
   */
  async settle(
    feature: string,
    user: string,
    key: string,
    usages: readonly ModelUsage[] = [],
    options: SettleOptions = {},
  ): Promise<UseResult> {
    return this.#settleNow(settlementOf(feature, user, key, usages, options));
  }

  /**
   * Hand over the settlement without waiting for its result: to the broker if there is one, else to the gateway's own queue
   * (`Prefer: respond-async`), and while the gateway is unavailable to the spool.
   */
  async settleByQueue(
    feature: string,
    user: string,
    key: string,
    usages: readonly ModelUsage[] = [],
    options: SettleOptions = {},
  ): Promise<UseResult> {
    return this.#settleLater(settlementOf(feature, user, key, usages, options));
  }

  /**
   * Close a hold without a charge. Voiding it again changes nothing.
   *
   * @throws UnknownUsageKeyError, HoldClosedError, KeyConflictError (another user's), UnavailableError.
   */
  async void(key: string, user: string, reason?: string): Promise<UseResult> {
    const body = { usage_key: requests.checkedText(key, "key"), user_id: requests.checkedText(user, "user"), reason };
    return values.voided(user, key, await this.#gateway.post(VOID_PATH, body));
  }

  /** Extend an open hold to at least `ttlSeconds` from now; return its new expiry. See `void` for the errors. */
  async extend(key: string, user: string, ttlSeconds: number): Promise<Date> {
    const body = {
      usage_key: requests.checkedText(key, "key"),
      user_id: requests.checkedText(user, "user"),
      ttl_seconds: ttlSeconds,
    };
    const data = await this.#gateway.post(EXTEND_PATH, body);
    return new Date(String(data["expires_at"]));
  }

  /** Record a use and charge it in one call. A host that repeats the call must give the same `key`. */
  async recordUsage(feature: string, user: string, options: RecordOptions = {}): Promise<FeatureUsage> {
    const { usages = [], key = newId() } = options;
    const body = requests.recordBody(settlementOf(feature, user, key, usages, options));
    return values.readFeatureUsage(await this.#gateway.post(USAGE_PATH, body));
  }

  /** Return the credits of a user, or of an organisation (`org:<id>`); without a wallet, what the first use would find. */
  async balance(user: string): Promise<Balance> {
    try {
      return values.readBalance(await this.#gateway.get(walletPath(requests.checkedText(user, "user"))));
    } catch (error) {
      const initial =
        error instanceof FaregateError && error.code === "unknown_wallet"
          ? values.amountOrNull(error.facts, "initial_credits")
          : null;
      if (initial === null) throw error;
      return values.newBalance(user, initial);
    }
  }

  /**
   * Return what a use would hold and cost now, without holding or charging anything.
   *
   * @throws AccessRefusedError, UnknownFeatureError, QuotaExceededError: a start would be refused. Too few credits are no error:
   *   the quote is not `covered`.
   */
  async quote(feature: string, user: string, options: QuoteOptions = {}): Promise<Quote> {
    const request = requests.chargeRequest(feature, user, { ...options });
    const body = requests.quoteBody(request, requests.linesIn(options.usages ?? [], "usages"));
    return values.readQuote(await this.#gateway.post(QUOTE_PATH, body));
  }

  /**
   * Record usage events, such as `{ user_id: "ada", service: "chat", meter: "calls", quantity: 3 }` or CloudEvents.
   *
   * An event counts once by its `source` and `id`; one without an id gets a new one. An invalid event is rejected and does not
   * affect the others.
   */
  async recordEvents(events: readonly Readonly<Record<string, unknown>>[]): Promise<EventsResult> {
    const named = events.map(namedEvent);
    let sum: EventsResult = { accepted: 0, duplicates: 0, rejected: [] };
    for (let first = 0; first < named.length; first += EVENTS_AT_ONCE) {
      const data = await this.#gateway.post(EVENTS_PATH, named.slice(first, first + EVENTS_AT_ONCE));
      const { accepted, duplicates, rejected } = values.readEvents(data, first);
      sum = {
        accepted: sum.accepted + accepted,
        duplicates: sum.duplicates + duplicates,
        rejected: [...sum.rejected, ...rejected],
      };
    }
    return sum;
  }

  /** Send the spool now; return whether it is empty afterwards. The spool is also sent in the background. */
  drain(): Promise<boolean> {
    return this.#delivery.drain();
  }

  /** Return the credits of this feature's uses that ran on debt and are not settled yet. */
  debt(feature: string): Decimal {
    return this.#debts.total(feature);
  }

  /**
   * End open uses, send what waits for at most `patienceSeconds`, and close; the rest stays in the spool.
   *
   * Uses of `open` are settled with the usage observed so far; a use with a callback settles at its own end.
   */
  async close({ patienceSeconds = 5 } = {}): Promise<void> {
    const ending = [...this.#open].filter((use) => !use.bounded).map((use) => use.end());
    await Promise.allSettled(ending);
    await this.logs.close(patienceSeconds);
    await this.#delivery.close(patienceSeconds);
    this.#gateway.close();
  }

  async #opened(feature: string, user: string, options: UseOptions, bounded: boolean): Promise<Use> {
    const request = requests.chargeRequest(feature, user, options);
    const authorization = await this.#authorize(request);
    const closer = {
      close: (ended: Use, closing: Closing) => this.#close(ended, closing),
      keepAlive: (running: Use) => this.#keepAlive(running),
    };
    const use = new Use(request, authorization, bounded, closer, this.#logger);
    this.#open.add(use);
    return use;
  }

  async #authorize(request: ChargeRequest): Promise<Authorization> {
    try {
      const data = await this.#gateway.post(START_PATH, requests.startBody(request));
      const authorization = values.readAuthorization(data, request.feature);
      this.#debts.learn(request.feature, authorization.outageLimitCredits, authorization.hold);
      return authorization;
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      await this.#owed;
      if (!this.#debts.admit(request.feature, request.usageKey, request.estimatedCredits)) throw error;
      this.#logger.warn(`the gateway is unavailable: ${request.usageKey} of ${request.userId} runs on debt`);
      return values.onDebt(request.userId, request.feature, request.usageKey);
    }
  }

  async #close(use: Use, closing: Closing): Promise<UseResult> {
    this.#open.delete(use);
    if (closing.voidReason !== null) return this.#voidUse(use, closing.voidReason);
    const { feature, userId, usageKey } = use;
    const settlement = { feature, userId, usageKey, organization: use.request.organization, ...closing };
    const result = await this.#settleUse(settlement);
    if (closing.lines.length === 0 && result.consumed?.isZero() && !use.authorization.hold.isZero()) {
      this.#logger.warn(
        `${usageKey} of ${userId} is free, though ${use.authorization.hold} credits were held for ${feature}: nothing was observed; call observe() with each reply`,
      );
    }
    return result;
  }

  /** Settle at once if `settleVia` is "api" and the gateway answers, else by queue or spool. */
  async #settleUse(settlement: Settlement): Promise<UseResult> {
    if (this.#settleVia === "api") {
      try {
        return await this.#settleNow(settlement);
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        this.#logger.warn(`${settlement.usageKey} will be settled later: ${error.message}`);
      }
    }
    return this.#settleLater(settlement);
  }

  async #settleNow(settlement: Settlement): Promise<UseResult> {
    const result = values.readSettlement(await this.#gateway.post(END_PATH, requests.settlementBody(settlement)));
    this.#debts.settled(settlement.usageKey);
    return result;
  }

  async #settleLater(settlement: Settlement): Promise<UseResult> {
    const { feature, userId, usageKey } = settlement;
    const by = await this.#delivery.send({
      path: END_PATH,
      body: requests.settlementBody(settlement),
      feature,
      debt: this.#debts.of(usageKey),
    });
    if (by !== "spool") this.#debts.settled(usageKey);
    return values.pending(userId, usageKey, by);
  }

  /** Void a use. If the gateway does not answer, the hold expires; that is not an error. */
  async #voidUse(use: Use, reason: string): Promise<UseResult> {
    const { usageKey, userId } = use;
    if (use.authorization.onDebt) {
      this.#debts.settled(usageKey);
      return values.voided(userId, usageKey);
    }
    try {
      return await this.void(usageKey, userId, reason);
    } catch (error) {
      if (!(error instanceof UnavailableError || error instanceof HoldClosedError)) throw error;
      this.#logger.warn(`${usageKey} was not voided, its hold will expire: ${error.message}`);
      return values.voided(userId, usageKey);
    }
  }

  /**
   * Extend the hold of a use each half of its lifetime, for at most a day, until the returned function is called.
   *
   * The hold of a stream that delivered nothing for that time is no longer extended: its reader may be gone.
   */
  #keepAlive(use: Use): () => void {
    const { expiresAt } = use.authorization;
    if (expiresAt === null) return () => undefined;
    const seconds = Math.round((expiresAt.getTime() - Date.now()) / 1000);
    const ttlSeconds = use.request.ttlSeconds ?? Math.min(MAX_SECONDS, Math.max(MIN_TTL_SECONDS, seconds));
    const until = monotonicSeconds() + MAX_SECONDS;
    let activity = use.activity;
    const timer = setInterval(() => {
      const stalled = !use.bounded && use.activity === activity;
      if (stalled) this.#logger.warn(`the stream of ${use.usageKey} delivers nothing; its hold is not extended`);
      if (stalled || monotonicSeconds() > until) return clearInterval(timer);
      activity = use.activity;
      void this.#extendQuietly(use, ttlSeconds).then((open) => {
        if (!open) clearInterval(timer);
      });
    }, ttlSeconds * 500);
    timer.unref();
    return () => clearInterval(timer);
  }

  /** Extend the hold of a use; return whether it is still open as far as is known. */
  async #extendQuietly(use: Use, ttlSeconds: number): Promise<boolean> {
    try {
      await this.extend(use.usageKey, use.userId, ttlSeconds);
      return true;
    } catch (error) {
      const closed = error instanceof HoldClosedError || error instanceof UnknownUsageKeyError;
      this.#logger.warn(
        `the hold of ${use.usageKey} ${closed ? "is closed" : "was not extended"}: ${(error as Error).message}`,
      );
      return !closed;
    }
  }

  /** Count the debts that an earlier process left in the spool, then send it. */
  async #readDebts(spool: Spool): Promise<void> {
    for (const name of await spool.names()) {
      const entry = await spool.read(name);
      const key = isObject(entry?.body) ? entry.body["usage_key"] : undefined;
      if (entry !== null && typeof key === "string" && !entry.debt.isZero())
        this.#debts.owe(key, entry.feature, entry.debt);
    }
    this.#delivery.wake();
  }
}

function settlementOf(
  feature: string,
  user: string,
  key: string,
  usages: readonly ModelUsage[],
  options: SettleOptions,
): Settlement {
  return {
    feature: requests.checkedText(feature, "feature"),
    userId: requests.checkedText(user, "user"),
    usageKey: requests.checkedText(key, "key"),
    lines: requests.linesIn(usages, "usages"),
    organization: options.organization ?? null,
    durationMs: options.durationMs ?? null,
    metadata: options.metadata ?? {},
  };
}

function namedEvent(event: Readonly<Record<string, unknown>>, number: number): object {
  if (isObject(event)) return event["id"] === undefined || event["id"] === null ? { ...event, id: newId() } : event;
  throw new InvalidError(`events[${number}] must be an object, such as { user_id: "ada", service: "chat" }`, {
    param: "events",
  });
}
