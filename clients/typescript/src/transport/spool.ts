/**
 * Durable spool of entries that could not be sent yet.
 *
 * Each entry is one file. It is written under another name, synchronised to disk and renamed before `append` resolves, so that a
 * file is either whole or absent after a crash. Several processes may share a directory: an entry may then be delivered twice,
 * which is safe, because entries are idempotent.
 */

import { mkdir, open, readdir, readFile, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

import { Decimal } from "../decimal.js";
import { SpoolFullError } from "../errors.js";
import { newId } from "../ids.js";
import { isObject, parseExact, writeExact } from "../json.js";
import type { Logger } from "../logger.js";

/** One POST to deliver to the gateway; `debt` is the credits that it ran on under an outage policy. */
export interface Entry {
  readonly path: string;
  readonly body: unknown;
  readonly feature: string;
  readonly debt: Decimal;
}

const SUFFIX = ".entry.json";
const PRIVATE = 0o600;

/** Entries in the order of their writing: on disk in `directory`, or in memory if that is null. */
export class Spool {
  readonly #directory: string | null;
  readonly #limitBytes: number;
  readonly #logger: Logger;
  readonly #memory = new Map<string, string>();
  #bytes: number | null = null;

  constructor(directory: string | null, limitBytes: number, logger: Logger) {
    this.#directory = directory;
    this.#limitBytes = limitBytes;
    this.#logger = logger;
  }

  /** Whether entries survive this process. */
  get durable(): boolean {
    return this.#directory !== null;
  }

  /**
   * Store an entry; with a directory it is on disk when this resolves.
   *
   * @throws SpoolFullError the size limit would be exceeded.
   */
  async append(entry: Entry, limitBytes = this.#limitBytes): Promise<void> {
    const text = writeExact(entry);
    const size = Buffer.byteLength(text);
    const before = (this.#bytes ??= await this.#stored());
    if (before + size > limitBytes)
      throw new SpoolFullError(`the spool holds ${before} bytes; its limit is ${limitBytes}`);
    this.#bytes = before + size;
    const name = `${newId()}${SUFFIX}`;
    if (this.#directory === null) this.#memory.set(name, text);
    else await writeDurably(this.#directory, name, text);
  }

  /** Return the names of all entries, oldest first. */
  async names(): Promise<string[]> {
    if (this.#directory === null) return [...this.#memory.keys()];
    const found = await readdir(this.#directory).catch(() => []);
    return found.filter((name) => name.endsWith(SUFFIX)).sort();
  }

  /** Return an entry; null if another process has delivered it meanwhile, or if it is damaged, which is logged. */
  async read(name: string): Promise<Entry | null> {
    const text =
      this.#directory === null
        ? this.#memory.get(name)
        : await readFile(join(this.#directory, name), "utf8").catch(() => undefined);
    if (text === undefined) return null;
    const entry = entryIn(text);
    if (entry === null && this.#directory !== null) {
      this.#logger.error(`${name} in the spool is damaged and is kept as ${name}.damaged`);
      await rename(join(this.#directory, name), join(this.#directory, `${name}.damaged`)).catch(() => undefined);
    }
    return entry;
  }

  /** Delete an entry that is delivered or refused. */
  async done(name: string): Promise<void> {
    if (this.#directory === null) this.#memory.delete(name);
    else await unlink(join(this.#directory, name)).catch(() => undefined);
    this.#bytes = null;
  }

  /** Append an entry that the gateway refused permanently to `refused.jsonl`, for the operator to inspect. */
  async refuse(entry: Entry, reason: string): Promise<void> {
    this.#logger.error(`the gateway refused ${entry.path} permanently: ${reason}; ${writeExact(entry.body)}`);
    if (this.#directory === null) return;
    const line = `${writeExact({ reason, path: entry.path, body: entry.body })}\n`;
    await writeSynced(join(this.#directory, "refused.jsonl"), "a", line);
  }

  async #stored(): Promise<number> {
    if (this.#directory === null)
      return [...this.#memory.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    const directory = this.#directory;
    const sizes = (await this.names()).map((name) =>
      stat(join(directory, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }
}

async function writeDurably(directory: string, name: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, name);
  await writeSynced(`${path}.new`, "wx", text);
  await rename(`${path}.new`, path);
  if (process.platform === "win32") return; // a directory cannot be synchronised there
  const folder = await open(directory, "r");
  await folder.sync().finally(() => folder.close());
}

async function writeSynced(path: string, flags: string, text: string): Promise<void> {
  const file = await open(path, flags, PRIVATE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

function entryIn(text: string): Entry | null {
  try {
    const found = parseExact(text);
    if (!isObject(found) || typeof found["path"] !== "string" || typeof found["feature"] !== "string") return null;
    return {
      path: found["path"],
      body: found["body"],
      feature: found["feature"],
      debt: Decimal.of(found["debt"] as Decimal | number),
    };
  } catch {
    return null;
  }
}
