/** Middleware of the AI SDK that charges the calls of an embedding model. */

import type { EmbeddingModelMiddleware } from "ai";

import type { CreditsClient } from "../client.js";
import { requestTokens } from "../replies/estimating.js";
import { openCall, orEnd, settledCosts } from "./call.js";
import type { MiddlewareOptions } from "./options.js";

/**
 * Return a middleware for `wrapEmbeddingModel`, which charges as `faregateMiddleware` does. A model that reports no tokens is
 * charged by an estimate of its input.
 */
export function faregateEmbeddingMiddleware(
  credits: CreditsClient,
  options: MiddlewareOptions,
): EmbeddingModelMiddleware {
  return {
    specificationVersion: "v3",
    wrapEmbed: async ({ doEmbed, params, model }) => {
      const tokens = requestTokens({ input: params.values });
      const call = await openCall(credits, options, model.modelId, params, tokens);
      const result = await orEnd(call, doEmbed);
      const reported = result.usage?.tokens;
      if (reported === undefined) call.observer.breakOff();
      else call.observer.observeEnd({ usage: { input_tokens: reported, output_tokens: 0 } }, { model: call.modelId });
      return { ...result, providerMetadata: { ...result.providerMetadata, faregate: await settledCosts(call) } };
    },
  };
}
