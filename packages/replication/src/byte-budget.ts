/**
 * One budget of bytes for everything that waits for a flush. Snapshot readers take from it before they read and block
 * when it is used up; the stream's part is reserved, so that the copy never stops the stream.
 */
import { invariant } from '@sluice/core';

export class ByteBudget {
  readonly #snapshotMax: number;
  #used = 0;
  #waiting: { bytes: number; grant: () => void }[] = [];

  /** @param reserved bytes of `max` that snapshots may never take */
  constructor(max: number, reserved: number) {
    invariant(reserved < max, 'byte budget: nothing is left for snapshots');
    this.#snapshotMax = max - reserved;
  }

  get used(): number {
    return this.#used;
  }

  get max(): number {
    return this.#snapshotMax;
  }

  /** Resolves when `bytes` are granted, in order of asking. One request larger than the budget is granted alone. */
  take(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#used += bytes;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const entry = {
        bytes,
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== entry);
        this.#grant();
        reject(signal.reason as Error);
      };
      this.#waiting.push(entry);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  give(bytes: number): void {
    this.#used -= bytes;
    invariant(this.#used >= 0, 'byte budget: more was given back than taken');
    this.#grant();
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#snapshotMax;
  }

  #grant(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.bytes;
      next.grant();
    }
  }
}
