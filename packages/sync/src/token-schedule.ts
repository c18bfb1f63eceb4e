/**
 * When a connection is told how long its token still lives. The line is also the keepalive: proxies and runtimes close
 * connections that stay silent.
 */
import type { Clock, Random } from '@sluice/core';

const KEEPALIVE_MS = 20_000;
/** Clients renew a token in the background and reconnect at once when they hear 30 s or less. */
const WARNING_MS = 20_000;

export class TokenSchedule {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #expiresAtMs: number;
  #warned: boolean;
  #keepaliveAtMs: number;

  constructor(options: { readonly clock: Clock; readonly random: Random; readonly expiresAtMs: number }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#expiresAtMs = options.expiresAtMs;
    const now = this.#clock.now();
    this.#warned = now >= this.#expiresAtMs - WARNING_MS;
    this.#keepaliveAtMs = this.#nextKeepalive(now);
  }

  #nextKeepalive(now: number): number {
    return now + KEEPALIVE_MS * (0.9 + 0.2 * this.#random());
  }

  get expired(): boolean {
    return this.#clock.now() >= this.#expiresAtMs;
  }

  /** Milliseconds until `take` has something to say; 0 if it has now. */
  msUntilDue(): number {
    const warning = this.#warned ? Infinity : this.#expiresAtMs - WARNING_MS;
    return Math.max(0, Math.min(this.#keepaliveAtMs, warning, this.#expiresAtMs) - this.#clock.now());
  }

  /** The value of a line that is due now, in whole seconds and never negative; null if none is. 0 is the last. */
  take(): number | null {
    if (this.msUntilDue() > 0) return null;
    const now = this.#clock.now();
    this.#keepaliveAtMs = this.#nextKeepalive(now);
    if (now >= this.#expiresAtMs - WARNING_MS) this.#warned = true;
    return Math.max(0, Math.ceil((this.#expiresAtMs - now) / 1000));
  }
}
