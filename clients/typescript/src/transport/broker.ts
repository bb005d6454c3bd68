/** Publisher to the public queues over AMQP; `amqplib` is loaded only if a broker is configured. */

import type { ChannelModel, ConfirmChannel } from "amqplib";

import { InvalidError, UnavailableError } from "../errors.js";
import { newId } from "../ids.js";

interface Line {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  readonly returned: Set<string>;
}

/**
 * One connection and channel, opened at the first message and again after an error.
 *
 * It never declares a queue: gateway and worker own the arguments of the queues. Messages are persistent, mandatory and
 * confirmed: `publish` resolves when the broker has stored the message.
 */
export class Broker {
  readonly #url: string;
  readonly #timeoutSeconds: number;
  #line: Promise<Line> | null = null;

  constructor(url: string, timeoutSeconds: number) {
    if (!/^amqps?:\/\/./.test(url))
      throw new InvalidError("brokerUrl must begin with amqp:// or amqps://", { param: "brokerUrl" });
    this.#url = url;
    this.#timeoutSeconds = timeoutSeconds;
  }

  /**
   * Publish one message to a queue.
   *
   * @throws UnavailableError it is unknown whether the message was stored (publish it again, its usage key makes that safe), or
   *   `amqplib` is not installed.
   */
  async publish(queue: string, body: string, correlationId: string | undefined): Promise<void> {
    const opening = (this.#line ??= this.#open());
    try {
      await within(
        this.#timeoutSeconds,
        opening.then((line) => confirmed(line, queue, body, correlationId)),
      );
    } catch (error) {
      if (this.#line === opening) this.#line = null;
      void opening.then(closed, () => undefined);
      throw new UnavailableError(`the broker did not confirm the message: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    const opening = this.#line;
    this.#line = null;
    await opening?.then(closed, () => undefined);
  }

  async #open(): Promise<Line> {
    const amqp = await loadAmqplib();
    const connection = await amqp.connect(this.#url, { timeout: this.#timeoutSeconds * 1000 });
    const opening = this.#line;
    const forget = (): void => {
      if (this.#line === opening) this.#line = null;
    };
    connection.on("error", forget);
    connection.on("close", forget);
    const channel = await connection.createConfirmChannel();
    const returned = new Set<string>();
    channel.on("return", (message) => returned.add(String(message.properties.messageId)));
    channel.on("error", forget);
    return { connection, channel, returned };
  }
}

async function loadAmqplib(): Promise<typeof import("amqplib")> {
  try {
    const module = await import("amqplib");
    return (module as { default?: typeof import("amqplib") }).default ?? module;
  } catch (error) {
    throw new Error("brokerUrl needs the package amqplib: npm install amqplib", { cause: error });
  }
}

/** Resolve when the broker has confirmed the message. An unroutable one is returned before its confirmation. */
function confirmed(
  { channel, returned }: Line,
  queue: string,
  body: string,
  correlationId: string | undefined,
): Promise<void> {
  const messageId = newId();
  const properties = { contentType: "application/json", persistent: true, mandatory: true, messageId };
  return new Promise((resolve, reject) => {
    channel.publish(
      "",
      queue,
      Buffer.from(body),
      { ...properties, ...(correlationId ? { correlationId } : {}) },
      (error: unknown) => {
        if (error) reject(error instanceof Error ? error : new Error(String(error)));
        else if (returned.delete(messageId)) reject(new Error(`there is no queue ${queue}`));
        else resolve();
      },
    );
  });
}

function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no confirmation within ${seconds} seconds`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function closed({ connection }: Line): Promise<void> {
  await within(2, connection.close()).catch(() => undefined);
}
