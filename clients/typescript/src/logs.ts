/** Feature usage logs, sent in the background without failing the host. */

import { Decimal } from "./decimal.js";
import { FaregateError, SpoolFullError, UnavailableError } from "./errors.js";
import { newId } from "./ids.js";
import { type Json, isObject, writeExact } from "./json.js";
import type { Logger } from "./logger.js";
import { LOG_PATH } from "./paths.js";
import type { Delivery } from "./transport/delivery.js";
import type { GatewayConnection } from "./transport/gateway.js";
import { sleep } from "./transport/retrying.js";

const BATCH = 100;
const BATCH_BYTES = 768 * 1024;
const RECORD_BYTES = 512 * 1024;
const BUFFER_SIZE = 1000;
/** Logs leave room in the spool for settlements. */
const SPOOL_BYTES = 16 * 1024 * 1024;

/** One log: `feature_endpoint_id`, `user_id`, `endpoint`, `method`, `payload`, `response`, `code`, `status`, … as in the HTTP call. */
export type LogRecord = Readonly<Record<string, unknown>>;

interface Buffered {
  readonly size: number;
  readonly record: LogRecord;
}

/** Sends feature usage logs. A record without `id` or `time` gets them, so that it counts once if it is sent again. */
export class FeatureLogs {
  readonly #gateway: GatewayConnection;
  readonly #delivery: Delivery;
  readonly #logger: Logger;
  readonly #buffer: Buffered[] = [];
  #sender: Promise<void> | null = null;
  #dropped = 0;

  constructor(gateway: GatewayConnection, delivery: Delivery, logger: Logger) {
    this.#gateway = gateway;
    this.#delivery = delivery;
    this.#logger = logger;
  }

  /** Number of records that were dropped: refused, too large, or without room in the buffer or the spool. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Buffer the record and return at once, with whether it was accepted; a broker or the gateway gets it later. Never throws. */
  send(record: LogRecord): boolean {
    const buffered = this.#checked(record);
    if (buffered === null) return false;
    if (this.#buffer.length >= BUFFER_SIZE) {
      this.#drop("the buffer is full");
      return false;
    }
    this.#buffer.push(buffered);
    this.#sender ??= this.#sendAll().finally(() => {
      this.#sender = null;
    });
    return true;
  }

  /**
   * Send the record now; return its id at the gateway, or null if that failed. Never throws.
   *
   * While the gateway is unavailable, the record is written to the spool and null is returned.
   */
  async sendNow(record: LogRecord): Promise<string | null> {
    const buffered = this.#checked(record);
    if (buffered === null) return null;
    try {
      return String((await this.#gateway.post(LOG_PATH, buffered.record))["id"]);
    } catch (error) {
      if (!(error instanceof UnavailableError)) {
        this.#drop(`the gateway refuses it: ${(error as Error).message}`);
        return null;
      }
      this.#logger.warn(`a feature log will be sent later: ${error.message}`);
      await this.#keep([buffered.record]);
      return null;
    }
  }

  /** Count the records that the gateway rejected; the other records of the batch were stored. */
  countRejected(data: Json): void {
    const rejected = Array.isArray(data["rejected"]) ? data["rejected"] : [];
    if (rejected.length > 0)
      this.#drop(
        `the gateway refuses it: ${writeExact(rejected[0])}`,
        rejected.length + Number(data["rejected_unlisted"] ?? 0),
      );
  }

  /** Send waiting records for at most `patienceSeconds`; the rest goes to the spool. */
  async close(patienceSeconds: number): Promise<void> {
    if (this.#sender !== null) await Promise.race([this.#sender, sleep(patienceSeconds, { background: true })]);
    for (const { record } of this.#buffer.splice(0)) await this.#keep([record]);
  }

  #checked(record: LogRecord): Buffered | null {
    try {
      if (!isObject(record)) throw new TypeError("it must be an object");
      const whole = { id: newId(), time: new Date().toISOString(), ...record };
      const size = Buffer.byteLength(writeExact(whole));
      if (size <= RECORD_BYTES) return { size, record: whole };
      this.#drop(`it has ${size} bytes, more than ${RECORD_BYTES}`);
    } catch (error) {
      this.#drop(`it has no JSON form: ${(error as Error).message}`);
    }
    return null;
  }

  async #sendAll(): Promise<void> {
    await Promise.resolve();
    while (this.#buffer.length > 0) await this.#sendBatch(this.#batch());
  }

  async #sendBatch(records: readonly LogRecord[]): Promise<void> {
    try {
      await this.#delivery.send(entryOf(records), SPOOL_BYTES);
    } catch (error) {
      const reason =
        error instanceof SpoolFullError
          ? "the spool is full"
          : error instanceof FaregateError
            ? "the gateway refuses it"
            : "it cannot be sent";
      this.#drop(`${reason}: ${(error as Error).message}`, records.length);
    }
  }

  #batch(): LogRecord[] {
    const records: LogRecord[] = [];
    let size = 0;
    for (let next = this.#buffer[0]; next !== undefined && records.length < BATCH; next = this.#buffer[0]) {
      if (records.length > 0 && size + next.size > BATCH_BYTES) break;
      size += next.size;
      records.push(next.record);
      this.#buffer.shift();
    }
    return records;
  }

  async #keep(records: readonly LogRecord[]): Promise<void> {
    try {
      await this.#delivery.keep(entryOf(records), SPOOL_BYTES);
    } catch (error) {
      this.#drop(`it cannot be written to the spool: ${(error as Error).message}`, records.length);
    }
  }

  #drop(reason: string, number = 1): void {
    const before = this.#dropped;
    this.#dropped += number;
    const next = Math.floor(before / 1000) !== Math.floor(this.#dropped / 1000);
    if (before === 0 || next) this.#logger.warn(`a feature log is dropped, ${this.#dropped} in all: ${reason}`);
  }
}

function entryOf(records: readonly LogRecord[]): { path: string; body: unknown; feature: string; debt: Decimal } {
  return { path: LOG_PATH, body: records, feature: "", debt: Decimal.ZERO };
}
