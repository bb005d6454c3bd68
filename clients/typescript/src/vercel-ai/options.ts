/** What the middleware needs to know of a call: who pays, and for which feature. */

import { InvalidError } from "../errors.js";
import { isObject, objectOf } from "../json.js";
import type { Estimate, Metadata, UseOptions } from "../request.js";

/** A call of a model as the middleware sees it. */
export interface ModelCall {
  readonly modelId: string;
  /** The call's `providerOptions.faregate`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The call's parameters, as the AI SDK gives them to the model. */
  readonly params: object;
}

export interface MiddlewareOptions {
  /** The feature whose price and limits apply; `providerOptions.faregate.feature` of a call takes precedence. */
  readonly feature: string;
  /** Who pays, or a function that says it; `providerOptions.faregate.user` of a call takes precedence. */
  readonly user?: string | ((call: ModelCall) => string | undefined) | undefined;
  /** The expected cost in credits, or the expected usage of models, or a function that says it; the hold covers it. */
  readonly estimate?: Estimate | ((call: ModelCall) => Estimate | undefined) | undefined;
  readonly organization?: string | undefined;
  readonly metadata?: Metadata | undefined;
}

export interface Payment {
  readonly feature: string;
  readonly user: string;
  readonly options: UseOptions;
}

interface CallParams {
  readonly providerOptions?: unknown;
}

/** Return the call that the AI SDK makes. */
export function callOf(modelId: string, params: CallParams & object): ModelCall {
  return { modelId, params, options: objectOf(objectOf(params.providerOptions)["faregate"]) };
}

/**
 * Return who pays for a call, and for which feature.
 *
 * @throws InvalidError nobody pays, or a value of `providerOptions.faregate` is not of its type.
 */
export function paymentOf(call: ModelCall, options: MiddlewareOptions): Payment {
  const user = textIn(call, "user") ?? (typeof options.user === "function" ? options.user(call) : options.user);
  if (user === undefined) {
    throw new InvalidError(
      "who pays? give `user` to the middleware, or `providerOptions: { faregate: { user } }` to the call, or call the model within `credits.use(…)`",
      { param: "user" },
    );
  }
  const estimate = typeof options.estimate === "function" ? options.estimate(call) : options.estimate;
  const metadata = call.options["metadata"];
  if (metadata !== undefined && !isObject(metadata)) throw wrong("metadata", "an object");
  return {
    feature: textIn(call, "feature") ?? options.feature,
    user,
    options: {
      estimate,
      organization: textIn(call, "organization") ?? options.organization,
      metadata: { ...options.metadata, ...metadata },
    },
  };
}

function textIn(call: ModelCall, name: string): string | undefined {
  const value = call.options[name];
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw wrong(name, "a text that is not empty");
}

function wrong(name: string, kind: string): InvalidError {
  return new InvalidError(`providerOptions.faregate.${name} must be ${kind}`, {
    param: `providerOptions.faregate.${name}`,
  });
}
