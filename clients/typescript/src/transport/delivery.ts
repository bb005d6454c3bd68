/** Delivery of settlements and logs by broker, HTTP or spool. */

import { FaregateError, RateLimitedError, UnauthenticatedError, UnavailableError } from "../errors.js";
import { type Json, objectOf, writeExact } from "../json.js";
import type { Logger } from "../logger.js";
import { END_PATH, LOG_PATH } from "../paths.js";
import type { Broker } from "./broker.js";
import type { GatewayConnection } from "./gateway.js";
import type { OutageDebts } from "./outage.js";
import { sleep } from "./retrying.js";
import type { Entry, Spool } from "./spool.js";

const QUEUES: Readonly<Record<string, string>> = {
  [END_PATH]: "credits_process_end_multimodel_queue",
  [LOG_PATH]: "feature_usage_queue",
};
const LONGEST_PAUSE_SECONDS = 60;

/** Where an entry is stored until it is settled. */
export type Stored = "broker" | "gateway" | "spool";

export interface DeliveryParts {
  readonly gateway: GatewayConnection;
  readonly broker: Broker | null;
  readonly spool: Spool;
  readonly debts: OutageDebts;
  readonly logger: Logger;
  readonly pauseSeconds: number;
  /** Called with the gateway's answer to each entry, such as the records of a batch that it rejected. */
  readonly onAnswer: (entry: Entry, data: Json) => void;
}

/** Delivers each entry at least once; the gateway counts each once, by its usage key. */
export class Delivery {
  readonly #parts: DeliveryParts;
  #draining: Promise<boolean> | null = null;
  #background: Promise<void> | null = null;
  #closed = false;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /**
   * Hand `entry` to the broker, else to the gateway (`Prefer: respond-async`), else to the spool.
   *
   * @throws FaregateError the gateway refuses it, or the spool is full.
   */
  async send(entry: Entry, limitBytes?: number): Promise<Stored> {
    try {
      return await this.#handOver(entry);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      this.#parts.logger.warn(`${entry.path} is written to the spool, the gateway is unavailable: ${error.message}`);
    }
    await this.keep(entry, limitBytes);
    return "spool";
  }

  /** Write `entry` to the spool, to be sent later. */
  async keep(entry: Entry, limitBytes?: number): Promise<void> {
    await this.#parts.spool.append(entry, limitBytes);
    this.wake();
  }

  /** Start sending the spool in the background unless it is being sent. */
  wake(): void {
    if (this.#closed) return;
    this.#background ??= this.#drainUntilEmpty()
      .catch((error: unknown) => this.#parts.logger.error(`the spool cannot be sent: ${String(error)}`))
      .finally(() => {
        this.#background = null;
      });
  }

  /** Deliver the entries of the spool; return whether it is empty afterwards. */
  drain(): Promise<boolean> {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = null;
    });
    return this.#draining;
  }

  /** Send the spool for at most `patienceSeconds`, then close; the rest stays in the spool. */
  async close(patienceSeconds: number): Promise<void> {
    this.#closed = true;
    if (patienceSeconds > 0) await Promise.race([this.drain(), sleep(patienceSeconds, { background: true })]);
    if (!this.#parts.spool.durable) await this.#logLost();
    await this.#parts.broker?.close();
  }

  async #drain(): Promise<boolean> {
    for (let names = await this.#parts.spool.names(); names.length > 0; names = await this.#parts.spool.names()) {
      for (const name of names) {
        const entry = await this.#parts.spool.read(name);
        if (entry !== null && !(await this.#deliver(entry))) return false;
        await this.#parts.spool.done(name);
      }
    }
    return true;
  }

  async #deliver(entry: Entry): Promise<boolean> {
    try {
      await this.#handOver(entry);
    } catch (error) {
      if (!(error instanceof FaregateError) || isTransient(error)) return false;
      await this.#parts.spool.refuse(entry, `${error.code}: ${error.message}`);
    }
    if (entry.path === END_PATH) this.#parts.debts.settled(usageKeyIn(entry) ?? "");
    return true;
  }

  async #handOver(entry: Entry): Promise<Stored> {
    const queue = QUEUES[entry.path];
    if (this.#parts.broker !== null && queue !== undefined) {
      try {
        await this.#parts.broker.publish(queue, writeExact(entry.body), usageKeyIn(entry));
        return "broker";
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        this.#parts.logger.warn(
          `the broker did not confirm ${entry.path}, it is sent to the gateway: ${error.message}`,
        );
      }
    }
    this.#parts.onAnswer(entry, await this.#parts.gateway.post(entry.path, entry.body, { prefer: "respond-async" }));
    return "gateway";
  }

  async #drainUntilEmpty(): Promise<void> {
    let pause = this.#parts.pauseSeconds;
    while (!(await this.drain())) {
      if (this.#closed) return;
      await sleep(pause, { background: true });
      if (this.#closed) return;
      pause = Math.min(pause * 2, LONGEST_PAUSE_SECONDS);
    }
  }

  async #logLost(): Promise<void> {
    for (const name of await this.#parts.spool.names()) {
      const entry = await this.#parts.spool.read(name);
      if (entry !== null)
        this.#parts.logger.error(
          `not sent and not stored, lost with this process: ${entry.path} ${writeExact(entry.body)}`,
        );
    }
  }
}

/** Return whether an error does not concern the entry, which stays in the spool: a rejected key may be corrected later. */
function isTransient(error: FaregateError): boolean {
  return (
    error instanceof UnavailableError || error instanceof RateLimitedError || error instanceof UnauthenticatedError
  );
}

function usageKeyIn(entry: Entry): string | undefined {
  const key = objectOf(entry.body)["usage_key"];
  return typeof key === "string" ? key : undefined;
}
