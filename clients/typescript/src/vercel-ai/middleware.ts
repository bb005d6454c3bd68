/** Middleware of the AI SDK that charges the calls of a language model. */

import type { LanguageModelMiddleware } from "ai";

import type { CreditsClient } from "../client.js";
import { currentUse } from "../current.js";
import type { Observer } from "../replies/observer.js";
import type { Use } from "../use.js";
import { type CallCosts, costsOf, openCosts } from "./costs.js";
import { observeResult, promptTokens } from "./observing.js";
import { callOf, type MiddlewareOptions, paymentOf } from "./options.js";
import { meteredStream } from "./stream.js";

type WrapGenerate = NonNullable<LanguageModelMiddleware["wrapGenerate"]>;
type WrapStream = NonNullable<LanguageModelMiddleware["wrapStream"]>;
type Params = Parameters<WrapGenerate>[0]["params"];

/** A call of the model, and the use that pays for it. */
export interface Metered {
  readonly use: Use;
  readonly observer: Observer;
  /** The use is that of the caller's `credits.use(…)`, which settles it. */
  readonly shared: boolean;
  readonly modelId: string;
  readonly aborted: () => boolean;
}

/**
 * Return a middleware for `wrapLanguageModel`: each call holds credits, runs, and is settled with the usage that the model
 * reports; a failed call is voided. Within `credits.use(…)` the calls are part of that use instead.
 *
 * What a call cost is in its `providerMetadata.faregate`; see `CallCosts`.
 *
 * A call that is refused throws what `credits.use` throws, such as `InsufficientCreditsError`; the model is not called.
 */
export function faregateMiddleware(credits: CreditsClient, options: MiddlewareOptions): LanguageModelMiddleware {
  return {
    specificationVersion: "v3",
    wrapGenerate: async ({ doGenerate, params, model }) => {
      const call = await metered(credits, options, model.modelId, params);
      const result = await orEnd(call, doGenerate);
      observeResult(call.observer, result, call.modelId);
      return { ...result, providerMetadata: { ...result.providerMetadata, faregate: await settledCosts(call) } };
    },
    wrapStream: async ({ doStream, params, model }) => {
      const call = await metered(credits, options, model.modelId, params);
      const result: Awaited<ReturnType<WrapStream>> = await orEnd(call, doStream);
      return { ...result, stream: meteredStream(result.stream, call) };
    },
  };
}

/** Return the costs of a call that is complete; a use of its own is settled first. */
export async function settledCosts(call: Metered): Promise<CallCosts> {
  return call.shared ? openCosts(call.use) : costsOf(await call.use.end());
}

/** End a call that failed. It is charged only if something came, or if the caller aborted it, since the model may have answered. */
export async function endFailed(call: Metered, failure: unknown): Promise<void> {
  if (call.aborted()) call.observer.breakOff();
  else call.observer.fail();
  if (!call.shared) await call.use.end(failure ?? new Error("nothing was thrown")).catch(() => undefined);
}

async function metered(credits: CreditsClient, options: MiddlewareOptions, modelId: string, params: Params): Promise<Metered> {
  const current = currentUse();
  const shared = current?.running === true;
  const use = shared ? current : await opened(credits, options, modelId, params);
  const observer = use.watcher(modelId, promptTokens(params));
  return { use, observer, shared, modelId, aborted: () => params.abortSignal?.aborted === true };
}

function opened(credits: CreditsClient, options: MiddlewareOptions, modelId: string, params: Params): Promise<Use> {
  const payment = paymentOf(callOf(modelId, params), options);
  return credits.open(payment.feature, payment.user, payment.options);
}

async function orEnd<T>(call: Metered, work: () => PromiseLike<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    await endFailed(call, failure);
    throw failure;
  }
}
