/** A metered call of a model, and its end. */

import type { Observer } from "../replies/observer.js";
import type { Use } from "../use.js";
import { type CallCosts, costsOf, openCosts } from "./costs.js";

/** A call of the model, and the use that pays for it. */
export interface Metered {
  readonly use: Use;
  readonly observer: Observer;
  /** The use is that of the caller's `credits.use(…)`, which settles it. */
  readonly shared: boolean;
  readonly modelId: string;
  readonly aborted: () => boolean;
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
