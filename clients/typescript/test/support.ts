/** A real gateway for the tests, and a line to it that can fail. */

import { randomUUID } from "node:crypto";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CreditsClient, type CreditsClientOptions, type Logger, parseExact } from "../src/index.js";

export const URL_OF_GATEWAY = required("FAREGATE_URL");
export const KEY = required("FAREGATE_KEY");
export const BROKER_URL = required("FAREGATE_BROKER");
export const CHAT = "ai_chat_v1";

/** The reply of a provider that costs 0.42 credits. */
export const REPLY = { model: "gpt-4o", usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 } };

export const QUICK = { attempts: 3, baseSeconds: 0.001, capSeconds: 0.002, totalSeconds: 5 };

export class Said implements Logger {
  readonly lines: string[] = [];

  warn(message: string): void {
    this.lines.push(message);
  }

  error(message: string): void {
    this.lines.push(message);
  }
}

export function clientOf(options: Partial<CreditsClientOptions> = {}): CreditsClient {
  return new CreditsClient({ baseUrl: URL_OF_GATEWAY, apiKey: KEY, retry: QUICK, logger: new Said(), ...options });
}

/** Call the gateway as its operator does; return the answer's data. */
export async function operator(method: string, path: string, body?: object): Promise<any> {
  const headers = { "x-server-api-key": KEY, "content-type": "application/json" };
  const response = await fetch(URL_OF_GATEWAY + path, {
    method,
    headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = parseExact(await response.text()) as { data: unknown };
  if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
  return answer.data;
}

/** Return a new user with this many credits. */
export async function userWith(credits: number | string): Promise<string> {
  const user = `user-${randomUUID()}`;
  const headers = { "x-server-api-key": KEY, "content-type": "application/json" };
  const body = `{"credits": ${credits}, "source": "purchase"}`;
  const response = await fetch(`${URL_OF_GATEWAY}/api/wallets/${user}/grants`, { method: "POST", headers, body });
  if (response.status !== 201) throw new Error(await response.text());
  return user;
}

export async function balanceOf(user: string): Promise<string> {
  return String((await operator("GET", `/api/wallets/${user}`)).balance);
}

export async function heldOf(user: string): Promise<string> {
  return String((await operator("GET", `/api/wallets/${user}`)).held);
}

/** Wait until `wanted` is true. */
export async function until(wanted: () => Promise<boolean>, what: string): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (await wanted()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${what} did not come true`);
}

export function directory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "faregate-"));
}

type Failure = "lost" | "unanswered" | { readonly status: number; readonly retryAfter?: string };

/** A proxy in front of the gateway: `cut` loses every call, `failures` spoil the next ones. */
export class Line {
  readonly paths: string[] = [];
  readonly failures: Failure[] = [];
  cut = false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((incoming, outgoing) => {
      this.paths.push(incoming.url ?? "");
      const failure = this.cut ? "lost" : this.failures.shift();
      if (failure === "lost") return void incoming.socket.destroy();
      if (typeof failure === "object") {
        outgoing.writeHead(failure.status, failure.retryAfter ? { "retry-after": failure.retryAfter } : {});
        return void outgoing.end("<html>a proxy</html>");
      }
      const passed = request(
        URL_OF_GATEWAY + incoming.url,
        { method: incoming.method, headers: incoming.headers },
        (answer) => {
          if (failure === "unanswered") {
            answer.resume().on("end", () => incoming.socket.destroy());
            return;
          }
          outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(outgoing);
        },
      );
      incoming.pipe(passed);
    });
  }

  static async open(): Promise<Line> {
    const line = new Line();
    await new Promise<void>((resolve) => line.#server.listen(0, "127.0.0.1", resolve));
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  calls(end: string): number {
    return this.paths.filter((path) => path.endsWith(end)).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: these tests run against a gateway that pytest starts`);
  return value;
}
