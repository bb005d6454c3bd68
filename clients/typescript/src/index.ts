/** Client of a Faregate gateway: hold credits, run an AI feature, settle what it really cost. */

export { CreditsClient } from "./client.js";
export type { CreditsClientOptions, QuoteOptions, RecordOptions, SettleOptions, Used } from "./client.js";
export { currentUse } from "./current.js";
export { type Amount, Decimal } from "./decimal.js";
export {
  AccessRefusedError,
  FaregateError,
  HoldClosedError,
  InsufficientCreditsError,
  InvalidError,
  KeyConflictError,
  QuotaExceededError,
  RateLimitedError,
  SpoolFullError,
  UnauthenticatedError,
  UnavailableError,
  UnknownFeatureError,
  UnknownUsageKeyError,
  UnreadableReplyError,
} from "./errors.js";
export { newId } from "./ids.js";
export { type Json, parseExact, writeExact } from "./json.js";
export type { Logger } from "./logger.js";
export type { FeatureLogs, LogRecord } from "./logs.js";
export type { Observer } from "./replies/observer.js";
export type { ChargeRequest, Estimate, Metadata, UseOptions } from "./request.js";
export type { Outage } from "./transport/outage.js";
export type { Retry } from "./transport/retrying.js";
export type { Use } from "./use.js";
export type { Authorization, Balance, EventsResult, FeatureUsage, PricedLine, Quote, UseResult } from "./values.js";
export type { Counted, ModelUsage } from "./wire/count-names.js";
export { type Reading, readUsage } from "./wire/reading.js";
