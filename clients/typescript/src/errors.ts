/** Errors of the client, by the problem's code. */

import { Decimal } from "./decimal.js";
import { isObject, objectOf } from "./json.js";

export interface ErrorFacts {
  code?: string;
  param?: string | null;
  status?: number;
  requestId?: string | null;
  facts?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** Base of all errors of this package. */
export class FaregateError extends Error {
  static readonly code: string = "internal";

  /** Stable identifier for programs, such as `insufficient_credits`; each has a page in the documentation. */
  readonly code: string;
  /** The request field concerned, if one is. */
  readonly param: string | null;
  /** HTTP status of the gateway's answer; 0 without an answer. */
  readonly status: number;
  /** Id of the request, for the operator's logs. */
  readonly requestId: string | null;
  /** Further values of the answer; numbers are exact. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(message: string, given: ErrorFacts = {}) {
    super(message, given.cause === undefined ? undefined : { cause: given.cause });
    this.name = new.target.name;
    this.code = given.code ?? new.target.code;
    this.param = given.param ?? null;
    this.status = given.status ?? 0;
    this.requestId = given.requestId ?? null;
    this.facts = given.facts ?? {};
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    return false;
  }
}

/** A value is not accepted; `param` names it. Repeating the call cannot succeed. */
export class InvalidError extends FaregateError {
  static override readonly code = "invalid";
}

/** No credential, or an unknown one. */
export class UnauthenticatedError extends FaregateError {
  static override readonly code = "unauthenticated";
}

/** The user, plan or credential may not do this, or the wallet is frozen or closed. */
export class AccessRefusedError extends FaregateError {
  static override readonly code = "forbidden";
}

/** Too few free credits for this use. Nothing was stored: the same call can succeed after a top-up. */
export class InsufficientCreditsError extends FaregateError {
  static override readonly code = "insufficient_credits";

  /** The free credits, or what is left of the spending limit that is reached. */
  get balance(): Decimal {
    return amountIn(this.facts, "balance");
  }

  /** The credits that the use needs. */
  get required(): Decimal {
    return amountIn(this.facts, "required");
  }
}

/** A hard quota does not allow this use; `facts` hold `used`, `limit` and `resets_at`. */
export class QuotaExceededError extends FaregateError {
  static override readonly code = "quota_exceeded";
}

/** No feature has this key or id; the text lists similar and known ones. */
export class UnknownFeatureError extends FaregateError {
  static override readonly code = "unknown_feature";
}

/** No use has this usage key. */
export class UnknownUsageKeyError extends FaregateError {
  static override readonly code = "unknown_usage_key";
}

/** A key that must be used once was used again for a different request. */
export class KeyConflictError extends FaregateError {
  static override readonly code = "key_conflict";
}

/** The hold is settled, voided or expired; it can be neither extended nor reused. */
export class HoldClosedError extends FaregateError {
  static override readonly code = "hold_closed";
}

/** Too many requests. */
export class RateLimitedError extends FaregateError {
  static override readonly code = "rate_limited";

  override get retryable(): boolean {
    return true;
  }
}

/** No usable answer in time. It is unknown whether the call took effect; it is safe to repeat it. */
export class UnavailableError extends FaregateError {
  static override readonly code = "unavailable";

  override get retryable(): boolean {
    return true;
  }
}

/** A provider's reply holds usage that cannot be read; none of it was counted. */
export class UnreadableReplyError extends FaregateError {
  static override readonly code = "unreadable_reply";
}

/** The spool has reached its size limit. */
export class SpoolFullError extends FaregateError {
  static override readonly code = "spool_full";
}

type Kind = new (message: string, given?: ErrorFacts) => FaregateError;

const BY_CODE: ReadonlyMap<string, Kind> = new Map<string, Kind>(
  Object.entries({
    insufficient_credits: InsufficientCreditsError,
    member_limit: InsufficientCreditsError,
    quota_exceeded: QuotaExceededError,
    unknown_feature: UnknownFeatureError,
    unknown_usage_key: UnknownUsageKeyError,
    already_settled: HoldClosedError,
    hold_closed: HoldClosedError,
  }),
);

const BY_STATUS: Readonly<Record<number, Kind>> = {
  400: InvalidError,
  401: UnauthenticatedError,
  402: InsufficientCreditsError,
  403: AccessRefusedError,
  409: KeyConflictError,
  413: InvalidError,
  415: InvalidError,
  422: InvalidError,
  429: RateLimitedError,
};

/** Return the error for an error response of the gateway, or of a proxy in front of it. */
export function errorOf(status: number, body: unknown): FaregateError {
  const answer = objectOf(body);
  const { code, detail, param, request_id, ...facts } = objectOf(answer["error"]);
  const name = typeof code === "string" ? code : "error";
  const message = [detail, answer["message"]].find((text) => typeof text === "string" && text !== "");
  const kind = BY_CODE.get(name) ?? BY_STATUS[status] ?? (status >= 500 ? UnavailableError : FaregateError);
  return new kind(typeof message === "string" ? message : `the gateway answered ${status}`, {
    code: name,
    status,
    param: typeof param === "string" ? param : null,
    requestId: typeof request_id === "string" ? request_id : null,
    facts,
  });
}

function amountIn(facts: Readonly<Record<string, unknown>>, name: string): Decimal {
  const value = facts[name];
  return typeof value === "number" ||
    typeof value === "string" ||
    (isObject(value) === false && value instanceof Decimal)
    ? Decimal.of(value, name)
    : Decimal.ZERO;
}
