/** Stream of a model's parts whose end settles the call. */

import { InvalidError } from "../errors.js";
import { objectOf } from "../json.js";
import { endFailed, type Metered, settledCosts } from "./call.js";
import type { CallCosts } from "./costs.js";
import { observePart } from "./observing.js";

/**
 * Pass on the parts of a stream and observe them; the `finish` part gets the costs of the call.
 *
 * A reader that cancels the stream is charged for what came.
 */
export function meteredStream<Part extends { readonly type: string }>(
  parts: ReadableStream<Part>,
  call: Metered,
): ReadableStream<Part> {
  const reader = parts.getReader();
  let { modelId } = call;
  let failure: unknown;
  return new ReadableStream<Part>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          await endOfParts(call, failure);
          return controller.close();
        }
        checkOpen(call);
        if (value.type === "error") failure = objectOf(value)["error"] ?? new Error("the model reported an error");
        modelId = observePart(call.observer, objectOf(value), modelId);
        const ends = value.type === "finish" && failure === undefined;
        controller.enqueue(ends ? withCosts(value, await settledCosts(call)) : value);
      } catch (error) {
        await endFailed(call, error);
        controller.error(error);
      }
    },
    async cancel(reason) {
      call.observer.breakOff();
      await reader.cancel(reason).catch(() => undefined);
      if (!call.shared) await call.use.end().catch(() => undefined);
    },
  });
}

/** End a call whose stream is complete: with the error that the model reported, or without its usage. */
async function endOfParts(call: Metered, failure: unknown): Promise<void> {
  if (failure !== undefined) return endFailed(call, failure);
  call.observer.endWithoutUsage();
  await settledCosts(call);
}

/** Refuse to go on when the caller's use has ended: what the stream brings now would not be charged. */
function checkOpen({ use, shared }: Metered): void {
  if (!shared || use.running) return;
  throw new InvalidError(
    `the use ${use.usageKey} has ended before its stream: read the stream to its end within credits.use(…)`,
    { param: "use" },
  );
}

function withCosts<Part extends object>(
  part: Part & { readonly providerMetadata?: object },
  faregate: CallCosts,
): Part {
  return { ...part, providerMetadata: { ...part.providerMetadata, faregate } };
}
