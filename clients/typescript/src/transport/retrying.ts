/** Retry with jitter; circuit breaker. */

export const RETRIED_STATUSES = new Set([429, 500, 502, 503, 504]);

/** Limits on the repetition of failed calls. All calls are idempotent, so that repeating them is safe. */
export interface Retry {
  /** Maximum number of attempts, the first one included. */
  readonly attempts: number;
  /** Base of the exponential backoff. */
  readonly baseSeconds: number;
  /** Upper bound on one pause. */
  readonly capSeconds: number;
  /** Time limit of one call with all its repetitions and pauses. */
  readonly totalSeconds: number;
}

export const USUAL_RETRY: Retry = { attempts: 4, baseSeconds: 0.1, capSeconds: 2, totalSeconds: 20 };

/** Return the pause after failed attempt number `attempt`: full jitter, added to what the server asks for. */
export function pauseSeconds(retry: Retry, attempt: number, retryAfterSeconds: number): number {
  const ceiling = Math.min(retry.capSeconds, retry.baseSeconds * 2 ** attempt);
  return retryAfterSeconds + Math.random() * ceiling;
}

/** Return the seconds that a `Retry-After` header asks for, as a number or as a date; 0 without one. */
export function retryAfterSeconds(header: string | null, now: number): number {
  if (header === null || header === "") return 0;
  if (/^\d+$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? 0 : Math.max(0, (date - now) / 1000);
}

const FAILURES = 5;

/** Return the seconds of a monotonic clock. */
export function monotonicSeconds(): number {
  return performance.now() / 1000;
}

/** Wait; a waiting timer does not keep the process alive on its own when `background` is set. */
export function sleep(seconds: number, { background = false } = {}): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    if (background) timer.unref();
  });
}

/**
 * Rejects calls for a while after five consecutive failures, then admits one trial call. Without it, each request of the host
 * would wait for the whole time-out while the gateway is down.
 */
export class CircuitBreaker {
  readonly #restSeconds: number;
  #failed = 0;
  #openUntil = 0;

  constructor(restSeconds: number) {
    this.#restSeconds = restSeconds;
  }

  /** Return whether a call may be made; after the rest, only the first caller is admitted. */
  admits(): boolean {
    if (this.#failed < FAILURES) return true;
    const now = monotonicSeconds();
    if (now < this.#openUntil) return false;
    this.#openUntil = now + this.#restSeconds;
    return true;
  }

  succeeded(): void {
    this.#failed = 0;
  }

  failed(): void {
    this.#failed += 1;
    if (this.#failed >= FAILURES) this.#openUntil = monotonicSeconds() + this.#restSeconds;
  }
}
