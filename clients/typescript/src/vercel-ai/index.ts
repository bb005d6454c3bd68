/** Charges the calls of language models of Vercel's AI SDK. */

export { type CallCosts, creditsCharged } from "./costs.js";
export { faregateMiddleware } from "./middleware.js";
export type { MiddlewareOptions, ModelCall } from "./options.js";
