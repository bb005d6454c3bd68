/** The use whose callback is running, for adapters that report usage to it. */

import { AsyncLocalStorage } from "node:async_hooks";

import type { Use } from "./use.js";

const storage = new AsyncLocalStorage<Use>();

/** Return the use whose callback is running; undefined outside of one. */
export function currentUse(): Use | undefined {
  return storage.getStore();
}

/** Run `work` within a use. */
export function within<T>(use: Use, work: () => T): T {
  return storage.run(use, work);
}
