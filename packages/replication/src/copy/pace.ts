/**
 * Keeps the tasks of a copy below what is configured and what the governor allows, together: each asks before a chunk
 * and tells what it was. Waits are short and can be aborted.
 */
import type { Clock } from '@sluice/core';
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
  /** When what was read so far would have been read at the configured rate. */
  #paidAt = 0;
  allowance: Allowance = FULL_ALLOWANCE;

  constructor(clock: Clock, throttle: CopyThrottle) {
    this.#clock = clock;
    this.#throttle = throttle;
  }

  /** Resolves when the next chunk may be read; at once where nothing limits the copy. */
  async ready(lastChunkMs: number, signal: AbortSignal): Promise<void> {
    const idleMs = Math.min(REST_MS_MAX, this.#idleMs(lastChunkMs));
    if (idleMs >= 1) await this.#clock.sleep(idleMs, signal);
    for (let owedMs = this.#owedMs(); owedMs >= 1; owedMs = this.#owedMs()) await this.#clock.sleep(owedMs, signal);
  }

  read(chunk: { readonly rows: number; readonly bytes: number }): void {
    const { rowsPerSecondMax, bytesPerSecondMax } = this.#throttle;
    const forRows = rowsPerSecondMax === null ? 0 : (chunk.rows / rowsPerSecondMax) * 1000;
    const forBytes = bytesPerSecondMax === null ? 0 : (chunk.bytes / bytesPerSecondMax) * 1000;
    // Time in which nothing was read is not saved up.
    this.#paidAt = Math.max(this.#paidAt, this.#clock.monotonic()) + Math.max(forRows, forBytes);
  }

  #owedMs(): number {
    return this.#paidAt - this.#clock.monotonic();
  }

  /** For a share of a half, as long as the chunk took. */
  #idleMs(lastChunkMs: number): number {
    return lastChunkMs * (1 / this.allowance.share - 1);
  }
}
