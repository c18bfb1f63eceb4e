/** How much came in the last half minute, in steps of a second: what a person takes for "the rate now". */
import type { Clock } from '@sluice/core';

const STEP_MS = 1_000;
const STEPS = 30;

export class RateWindow {
  readonly #clock: Clock;
  /** A ring: the amount of each of the last seconds. */
  readonly #amounts = new Float64Array(STEPS);
  #newest = 0;
  #first: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(amount: number): void {
    const now = this.#clock.monotonic();
    this.#first ??= now;
    this.#turnTo(Math.floor(now / STEP_MS));
    const at = this.#newest % STEPS;
    this.#amounts[at] = (this.#amounts[at] ?? 0) + amount;
  }

  /** Null until something came and half a second has passed since: one flush is no rate. */
  perSecond(): number | null {
    if (this.#first === null) return null;
    const now = this.#clock.monotonic();
    this.#turnTo(Math.floor(now / STEP_MS));
    // The window begins with its oldest step, and the newest step is not over.
    const begin = Math.max(this.#first, (this.#newest - STEPS + 1) * STEP_MS);
    const seconds = (now - begin) / 1000;
    if (seconds < 0.5) return null;
    return this.#amounts.reduce((sum, amount) => sum + amount, 0) / seconds;
  }

  #turnTo(step: number): void {
    if (step - this.#newest >= STEPS) this.#amounts.fill(0);
    else for (let passed = this.#newest + 1; passed <= step; passed++) this.#amounts[passed % STEPS] = 0;
    this.#newest = Math.max(this.#newest, step);
  }
}
