/** HTTP connection to the gateway, with retries and a circuit breaker. */

import { errorOf, FaregateError, InvalidError, UnavailableError } from "../errors.js";
import { isObject, type Json, objectOf, parseExact, writeExact } from "../json.js";
import {
  CircuitBreaker,
  monotonicSeconds,
  pauseSeconds,
  RETRIED_STATUSES,
  type Retry,
  retryAfterSeconds,
  sleep,
} from "./retrying.js";

export interface GatewayOptions {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly timeoutSeconds: number;
  readonly retry: Retry;
  readonly fetch: typeof fetch;
  readonly breakerRestSeconds: number;
}

type Answer =
  | { readonly data: Json }
  | { readonly failure: FaregateError; readonly repeat: boolean; readonly afterSeconds: number };

/** Calls one gateway. Each call names the id of what it creates, so that it is safe to repeat. */
export class GatewayConnection {
  readonly #options: GatewayOptions;
  readonly #base: string;
  readonly #breaker: CircuitBreaker;
  #closed = false;

  constructor(options: GatewayOptions) {
    if (!/^https?:\/\/./.test(options.baseUrl)) {
      throw new InvalidError(
        `baseUrl must begin with http:// or https://, not ${JSON.stringify(String(options.baseUrl).slice(0, 20))}`,
        { param: "baseUrl" },
      );
    }
    if (typeof options.apiKey !== "string" || !/^[\x21-\x7e]+$/.test(options.apiKey)) {
      throw new InvalidError("apiKey must be the key as it was issued: fg_ and ASCII characters", { param: "apiKey" });
    }
    this.#options = options;
    this.#base = options.baseUrl.replace(/\/+$/, "");
    this.#breaker = new CircuitBreaker(options.breakerRestSeconds);
  }

  /**
   * Send a POST and return the answer's `data`.
   *
   * @throws FaregateError the gateway refused the call; UnavailableError: no usable answer within attempts and time.
   */
  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Json> {
    return this.#call("POST", path, bodyText(body), headers);
  }

  /** Read `path` and return the answer's `data`; see `post`. */
  get(path: string): Promise<Json> {
    return this.#call("GET", path, undefined, {});
  }

  close(): void {
    this.#closed = true;
  }

  async #call(
    method: string,
    path: string,
    body: string | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Json> {
    if (this.#closed) throw new UnavailableError("this client is closed");
    if (!this.#breaker.admits()) {
      throw new UnavailableError(
        "the last calls to the gateway failed; the circuit breaker is open, try again in a few seconds",
      );
    }
    try {
      const data = await this.#repeated(method, path, body, headers);
      this.#breaker.succeeded();
      return data;
    } catch (error) {
      if (error instanceof UnavailableError) this.#breaker.failed();
      else this.#breaker.succeeded();
      throw error;
    }
  }

  async #repeated(
    method: string,
    path: string,
    body: string | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Json> {
    const ends = monotonicSeconds() + this.#options.retry.totalSeconds;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#attempt(method, path, body, headers, ends - monotonicSeconds());
      if ("data" in answer) return answer.data;
      const pause = pauseSeconds(this.#options.retry, attempt, answer.afterSeconds);
      const last = attempt >= this.#options.retry.attempts || monotonicSeconds() + pause >= ends;
      if (!answer.repeat || last) throw answer.failure;
      await sleep(pause);
    }
  }

  async #attempt(
    method: string,
    path: string,
    body: string | undefined,
    headers: Readonly<Record<string, string>>,
    leftSeconds: number,
  ): Promise<Answer> {
    const aborter = new AbortController();
    const timer = setTimeout(
      () => aborter.abort(),
      Math.max(0, Math.min(this.#options.timeoutSeconds, leftSeconds)) * 1000,
    );
    try {
      const response = await this.#options.fetch(this.#base + path, {
        method,
        redirect: "manual",
        signal: aborter.signal,
        headers: {
          "x-server-api-key": this.#options.apiKey,
          "content-type": "application/json",
          "user-agent": "faregate-typescript",
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
      });
      return answerOf(response, await response.text());
    } catch (error) {
      const reason = aborter.signal.aborted ? "it did not answer in time" : reasonOf(error);
      return {
        failure: new UnavailableError(`the gateway cannot be reached: ${reason}`, { cause: error }),
        repeat: true,
        afterSeconds: 0,
      };
    } finally {
      clearTimeout(timer);
    }
  }
}

function answerOf(response: Response, text: string): Answer {
  const body = jsonIn(text);
  const { status } = response;
  if (!response.ok) {
    const afterSeconds = retryAfterSeconds(response.headers.get("retry-after"), Date.now());
    return { failure: errorOf(status, body), repeat: RETRIED_STATUSES.has(status), afterSeconds };
  }
  const data = objectOf(body)["data"];
  if (isObject(data)) return { data };
  const message = `the server at ${response.url} did not answer as a Faregate gateway does; check baseUrl`;
  return { failure: new UnavailableError(message, { status }), repeat: false, afterSeconds: 0 };
}

function bodyText(body: unknown): string {
  try {
    return writeExact(body);
  } catch (error) {
    throw new InvalidError(`the call has no JSON form: ${(error as Error).message}`, { cause: error });
  }
}

function jsonIn(text: string): unknown {
  try {
    return parseExact(text);
  } catch {
    return null;
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
