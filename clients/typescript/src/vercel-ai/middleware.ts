/** Middleware of the AI SDK that charges the calls of a language model. */

import type { LanguageModelMiddleware } from "ai";

import type { CreditsClient } from "../client.js";
import { openCall, orEnd, settledCosts } from "./call.js";
import { observeResult, promptTokens } from "./observing.js";
import type { MiddlewareOptions } from "./options.js";
import { meteredStream } from "./stream.js";

type WrapStream = NonNullable<LanguageModelMiddleware["wrapStream"]>;

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
      const call = await openCall(credits, options, model.modelId, params, promptTokens(params));
      const result = await orEnd(call, doGenerate);
      observeResult(call.observer, result, call.modelId);
      return { ...result, providerMetadata: { ...result.providerMetadata, faregate: await settledCosts(call) } };
    },
    wrapStream: async ({ doStream, params, model }) => {
      const call = await openCall(credits, options, model.modelId, params, promptTokens(params));
      const result: Awaited<ReturnType<WrapStream>> = await orEnd(call, doStream);
      return { ...result, stream: meteredStream(result.stream, call) };
    },
  };
}
