/**
 * Keeps the tasks of a copy below what is configured and what the governor allows, together: what is going to be read is
 * paid for before, by what it is expected to be, and the difference is settled when it is known. Waits can be aborted.
 */
import type { Clock } from '@sluice/core';
import type { CopiedAmount } from './forecast.ts';
import { type Allowance, FULL_ALLOWANCE } from './governor.ts';

export interface CopyThrottle {
  readonly rowsPerSecondMax: number | null;
  readonly bytesPerSecondMax: number | null;
}

export const NO_THROTTLE: CopyThrottle = { rowsPerSecondMax: null, bytesPerSecondMax: null };

/** After a chunk that took long for reasons of its own. */
const REST_MS_MAX = 5_000;

export class Pace {
  readonly #clock: Clock;
  readonly #throttle: CopyThrottle;
  /** When everything that was asked for so far is paid for at the configured rate. */
  #paidAt = 0;
  allowance: Allowance = FULL_ALLOWANCE;

  constructor(clock: Clock, throttle: CopyThrottle) {
    this.#clock = clock;
    this.#throttle = throttle;
  }

  /** Resolves when so much may be read; at once where nothing limits the copy. */
  async ready(expected: CopiedAmount, lastChunkMs: number, signal: AbortSignal): Promise<void> {
    const idleMs = Math.min(REST_MS_MAX, this.#idleMs(lastChunkMs));
    if (idleMs >= 1) await this.#clock.sleep(idleMs, signal);
    const cost = this.#costMs(expected);
    // Time in which nothing was read is not saved up.
    const paidAt = Math.max(this.#paidAt, this.#clock.monotonic()) + cost;
    this.#paidAt = paidAt;
    try {
      for (let leftMs = paidAt - this.#clock.monotonic(); leftMs >= 1; leftMs = paidAt - this.#clock.monotonic())
        await this.#clock.sleep(leftMs, signal);
    } catch (error) {
      this.#paidAt -= cost;
      throw error;
    }
  }

  /** What was read in place of what was expected. */
  settle(expected: CopiedAmount, read: CopiedAmount): void {
    this.#paidAt += this.#costMs(read) - this.#costMs(expected);
  }

  #costMs({ rows, bytes }: CopiedAmount): number {
    const { rowsPerSecondMax, bytesPerSecondMax } = this.#throttle;
    const forRows = rowsPerSecondMax === null ? 0 : (rows / rowsPerSecondMax) * 1000;
    const forBytes = bytesPerSecondMax === null ? 0 : (bytes / bytesPerSecondMax) * 1000;
    return Math.max(forRows, forBytes);
  }

  /** For a share of a half, as long as the chunk took. */
  #idleMs(lastChunkMs: number): number {
    return lastChunkMs * (1 / this.allowance.share - 1);
  }
}
