/** Paths of the gateway's calls. */

export const START_PATH = "/api/credits-process/start";
export const END_PATH = "/api/credits-process/end-multimodel";
export const VOID_PATH = "/api/credits-process/void";
export const EXTEND_PATH = "/api/credits-process/extend";
export const QUOTE_PATH = "/api/credits-process/quote";
export const USAGE_PATH = "/api/usage";
export const EVENTS_PATH = "/api/usage-events";
export const LOG_PATH = "/api/feature-usage-logs";

/** Return the path of a wallet; characters such as `/` and `|` of its owner's id are percent-encoded. */
export function walletPath(ownerId: string): string {
  return `/api/wallets/${encodeURIComponent(ownerId)}`;
}
