/**
 * How often a key set may be fetched: ten at once, one more each minute, and the nearer to the limit, the further apart.
 * Forged key ids cannot make us hammer an identity provider.
 */
import type { Clock } from '@sluice/core';

const BURST = 10;
const REFILL_MS = 60_000;

export class FetchLimit {
  readonly #clock: Clock;
  #used = 0;
  #refilledAtMs: number;
  #lastMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#refilledAtMs = clock.monotonic();
  }

  /** Takes one permission, if there is one now. */
  take(): boolean {
    const now = this.#clock.monotonic();
    const refills = Math.floor((now - this.#refilledAtMs) / REFILL_MS);
    this.#used = Math.max(0, this.#used - refills);
    this.#refilledAtMs += refills * REFILL_MS;
    const spacingMs = (this.#used / BURST) ** 2 * 60_000;
    if (this.#used >= BURST || now - this.#lastMs < spacingMs) return false;
    this.#used++;
    this.#lastMs = now;
    return true;
  }
}
