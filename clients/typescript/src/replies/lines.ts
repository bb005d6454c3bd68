/** Usage lines of a settlement, made of observed replies. */

import { Decimal } from "../decimal.js";
import type { Logger } from "../logger.js";
import type { Line } from "../wire/count-names.js";
import type { Reading } from "../wire/reading.js";

/** Maximum number of lines of one settlement. */
export const LINES_LIMIT = 100;

/** The model of a line whose model is not known; the gateway keeps such lines unpriced until they are priced. */
export const UNKNOWN_MODEL = "unknown";

/** One reply. Until it reports its usage, its output is estimated from its content and its input from the request. */
export class ObservedReply {
  provider: string | null = null;
  serviceTier: string | null = null;
  counts: Record<string, number> = {};
  /** The total that the provider reported, where it contradicts `counts`; `counts` are as reported. */
  total: number | null = null;
  cost: Decimal | null = null;
  /** The usage was reported. */
  final = false;
  chunks = 0;
  contentTokens = 0;
  /** The reply is complete, or cannot be read, and its usage will never be known. */
  withoutUsage = false;

  constructor(
    public model: string | null = null,
    /** Estimated tokens of the request; null if the request was not observed. */
    readonly requestTokens: number | null = null,
  ) {}

  /** Set the counts as reported, so that the gateway itself compares them with the total. */
  fill(reading: Reading): void {
    const reported = { ...reading.counts };
    if (reading.missingTokens > 0) reported["output_tokens"] = (reported["output_tokens"] ?? 0) - reading.missingTokens;
    this.counts = { ...this.counts, ...reported };
    this.total = reading.contradictedTotal;
    this.cost = reading.reportedCostUsd ?? this.cost;
  }

  /** Return the line of this reply; without counts nothing is known of it. */
  line(): Line {
    const known = Object.keys(this.counts).length > 0;
    return {
      model: this.model ?? UNKNOWN_MODEL,
      provider: this.provider,
      serviceTier: this.serviceTier,
      tokens: known ? { input_tokens: 0, output_tokens: 0, ...this.counts } : {},
      totalTokens: this.total,
      reportedCostUsd: this.cost,
    };
  }
}

/** The lines that a use is settled with. */
export interface Lines {
  readonly usages: readonly Line[];
  /** Some counts are estimated, because a reply broke off before it reported its usage, or never reported it. */
  readonly estimated: boolean;
  /** Models of replies whose usage is not known, not even by an estimate; each is an unpriced line. */
  readonly unread: readonly string[];
}

/**
 * Return the lines of the settlement.
 *
 * The input of a reply without usage is taken from the `estimate` for its model, else from its request; its output is estimated
 * from the content received. A reply of which nothing is known becomes a line of the model `unknown`.
 */
export function linesOf(
  replies: readonly ObservedReply[],
  counted: readonly Line[],
  estimate: readonly Line[],
  logger: Logger,
): Lines {
  const unread: string[] = [];
  const unfinished = replies.filter((reply) => !reply.final);
  for (const reply of replies) nameReply(reply, estimate, logger);
  for (const reply of unfinished) {
    if (estimateReply(reply, estimate, logger)) continue;
    unread.push(reply.model ?? UNKNOWN_MODEL);
    reply.model = UNKNOWN_MODEL;
    reply.provider = null;
  }
  const usages = merged([...counted, ...replies.map((reply) => reply.line())]);
  return { usages, estimated: unfinished.length > unread.length, unread };
}

/**
 * Return at most 100 lines.
 *
 * Up to 100 lines are returned unchanged, because prices may depend on the size of a single call. Of more, the lines of one
 * model are added up, unless their reported totals contradict their counts in different directions.
 */
export function merged(lines: readonly Line[]): Line[] {
  if (lines.length <= LINES_LIMIT) return [...lines];
  const sums = new Map<string, Line>();
  for (const line of lines) {
    const key = JSON.stringify([
      line.model,
      line.provider,
      line.serviceTier,
      gapOf(line),
      line.reportedCostUsd === null,
    ]);
    const before = sums.get(key);
    sums.set(key, before === undefined ? line : sumOf(before, line));
  }
  return [...sums.values()];
}

/** Return -1 if the reported total is below the counts, 0 if equal, 1 if above, and null without a total. */
function gapOf(line: Line): number | null {
  if (!line.totalTokens) return null;
  return Math.sign(line.totalTokens - (line.tokens["input_tokens"] ?? 0) - (line.tokens["output_tokens"] ?? 0));
}

function sumOf(one: Line, other: Line): Line {
  const names = Object.keys({ ...one.tokens, ...other.tokens });
  const [cost, more] = [one.reportedCostUsd, other.reportedCostUsd];
  return {
    ...one,
    totalTokens: one.totalTokens === null || other.totalTokens === null ? null : one.totalTokens + other.totalTokens,
    reportedCostUsd: cost === null || more === null ? null : cost.plus(more),
    tokens: Object.fromEntries(names.map((name) => [name, (one.tokens[name] ?? 0) + (other.tokens[name] ?? 0)])),
  };
}

/** Give a reply without a model the model of the estimate, so that its usage is not lost. */
function nameReply(reply: ObservedReply, estimate: readonly Line[], logger: Logger): void {
  if (reply.model !== null) return;
  reply.model = estimate[0]?.model ?? UNKNOWN_MODEL;
  logger.warn(`a reply names no model; it is settled as ${reply.model}: give { model } where you observe it`);
}

/** Estimate what a reply did not report; return whether anything is known of it. */
function estimateReply(reply: ObservedReply, estimate: readonly Line[], logger: Logger): boolean {
  const expected = new Map(estimate.map((line) => [line.model, line]));
  const only = expected.size === 1 ? [...expected.values()][0] : undefined;
  const known = expected.get(reply.model ?? UNKNOWN_MODEL) ?? only;
  const requestTokens = known === undefined ? reply.requestTokens : (known.tokens["input_tokens"] ?? 0);
  let outputTokens = Math.max(reply.chunks, reply.contentTokens, reply.counts["output_tokens"] ?? 0);
  if (reply.withoutUsage && outputTokens === 0 && known !== undefined)
    outputTokens = known.tokens["output_tokens"] ?? 0;
  if (!("input_tokens" in reply.counts) && requestTokens) reply.counts["input_tokens"] = requestTokens;
  const counts = { ...reply.counts, output_tokens: outputTokens };
  reply.counts = Object.fromEntries(Object.entries(counts).filter(([, number]) => number !== 0));
  const assumed = Object.keys(reply.counts).length > 0;
  logger.warn(
    `a reply of ${reply.model} did not report its usage; ${assumed ? JSON.stringify(reply.counts) : "nothing"} is assumed`,
  );
  return assumed && !(reply.withoutUsage && known === undefined && outputTokens === 0);
}
