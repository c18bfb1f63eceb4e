/**
 * Wakes: writers of this process wake readers at once; what other processes wrote is found by looking at the database
 * from time to time, for all watchers of one thing together, and only while there are any.
 */
import { type Clock, Latest } from '@sluice/core';

export class Watched<T> {
  readonly #clock: Clock;
  readonly #pollMs: number;
  readonly #read: () => T;
  readonly #latest: Latest<T>;
  readonly #same: (a: T, b: T) => boolean;
  #watchers = 0;
  #cancelPoll: (() => void) | null = null;

  constructor(options: { clock: Clock; pollMs: number; read: () => T; same: (a: T, b: T) => boolean }) {
    this.#clock = options.clock;
    this.#pollMs = options.pollMs;
    this.#read = options.read;
    this.#same = options.same;
    this.#latest = new Latest(options.read());
  }

  /** Reads again, and wakes the watchers if it is not the same any more. */
  refresh(): void {
    const value = this.#read();
    if (!this.#same(value, this.#latest.value)) this.#latest.set(value);
  }

  /** The newest value now, then whenever it changed; values in between may be skipped. Ends when the signal aborts. */
  async *watch(signal: AbortSignal): AsyncIterable<T> {
    if (this.#watchers++ === 0) this.#poll();
    try {
      this.refresh();
      while (!signal.aborted) {
        const version = this.#latest.version;
        yield this.#latest.value;
        try {
          await this.#latest.changed(version, signal);
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      }
    } finally {
      if (--this.#watchers === 0) this.#cancelPoll?.();
    }
  }

  stop(): void {
    this.#cancelPoll?.();
  }

  #poll(): void {
    this.#cancelPoll = this.#clock.timer(this.#pollMs, () => {
      this.refresh();
      this.#poll();
    });
  }
}
