/** Middleware of the AI SDK that charges the calls of a language model. */

import type { LanguageModelMiddleware } from "ai";

import type { CreditsClient } from "../client.js";
import { currentUse } from "../current.js";
import type { Use } from "../use.js";
import { endFailed, type Metered, settledCosts } from "./call.js";
import { observeResult, promptTokens } from "./observing.js";
import { callOf, type MiddlewareOptions, paymentOf } from "./options.js";
import { meteredStream } from "./stream.js";

type WrapGenerate = NonNullable<LanguageModelMiddleware["wrapGenerate"]>;
type WrapStream = NonNullable<LanguageModelMiddleware["wrapStream"]>;
type Params = Parameters<WrapGenerate>[0]["params"];

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

async function metered(
  credits: CreditsClient,
  options: MiddlewareOptions,
  modelId: string,
  params: Params,
): Promise<Metered> {
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
