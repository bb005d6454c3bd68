/** A metered call of a model, and its end. */

import type { CreditsClient } from "../client.js";
import { currentUse } from "../current.js";
import type { Observer } from "../replies/observer.js";
import type { Use } from "../use.js";
import { type CallCosts, costsOf, openCosts } from "./costs.js";
import { callOf, type MiddlewareOptions, paymentOf } from "./options.js";

/** A call of the model, and the use that pays for it. */
export interface Metered {
  readonly use: Use;
  readonly observer: Observer;
  /** The use is that of the caller's `credits.use(…)`, which settles it. */
  readonly shared: boolean;
  readonly modelId: string;
  readonly signal: AbortSignal | undefined;
}

interface CallParams {
  readonly abortSignal?: AbortSignal | undefined;
  readonly providerOptions?: unknown;
}

/** Hold credits for a call, or join the use whose callback is running; `tokens` are the estimated tokens of the request. */
export async function openCall(
  credits: CreditsClient,
  options: MiddlewareOptions,
  modelId: string,
  params: CallParams,
  tokens: number,
): Promise<Metered> {
  params.abortSignal?.throwIfAborted();
  const current = currentUse();
  const shared = current?.running === true;
  const use = shared ? current : await opened(credits, options, modelId, params);
  return {
    use,
    observer: use.watcher(modelId, tokens),
    shared,
    modelId,
    signal: params.abortSignal,
  };
}

/** Run the call of the model; end it if it fails. A call that is aborted before it is sent is not charged. */
export async function orEnd<T>(call: Metered, work: () => PromiseLike<T>): Promise<T> {
  if (call.signal?.aborted) {
    call.observer.fail();
    await endOwn(call, call.signal.reason);
    throw call.signal.reason;
  }
  try {
    return await work();
  } catch (failure) {
    await endFailed(call, failure);
    throw failure;
  }
}

/** Return the costs of a call that is complete; a use of its own is settled first. */
export async function settledCosts(call: Metered): Promise<CallCosts> {
  return call.shared ? openCosts(call.use) : costsOf(await call.use.end());
}

/** End a call that failed. It is charged only if something came, or if the caller aborted it, since the model may have answered. */
export async function endFailed(call: Metered, failure: unknown): Promise<void> {
  if (call.signal?.aborted) call.observer.breakOff();
  else call.observer.fail();
  await endOwn(call, failure);
}

/** End a use that belongs to one call; a failure of its settlement is logged. */
async function endOwn({ use, shared }: Metered, failure: unknown): Promise<void> {
  if (!shared) await use.end(failure ?? new Error("nothing was thrown")).catch(() => undefined);
}

function opened(credits: CreditsClient, options: MiddlewareOptions, modelId: string, params: CallParams): Promise<Use> {
  const payment = paymentOf(callOf(modelId, params), options);
  return credits.open(payment.feature, payment.user, payment.options);
}
