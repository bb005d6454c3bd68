/** Charges the calls of language and embedding models of Vercel's AI SDK. */

export { type CallCosts, creditsCharged } from "./costs.js";
export { faregateEmbeddingMiddleware } from "./embedding.js";
export { faregateMiddleware } from "./middleware.js";
export type { MiddlewareOptions, ModelCall } from "./options.js";
