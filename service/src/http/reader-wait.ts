/**
 * Waiting for the reader of one response, part after part. One timer and one listener serve all of its waits: setting them
 * up for each costs more than the part.
 */
import type { Clock } from '@sluice/core';

/** Without progress for so long, a reader is given up. */
const STALLED_MS = 30_000;

export class ReaderStalled extends Error {}

interface Waiting {
  readonly sinceMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class ReaderWait {
  /** Ends the wait, if there is one. */
  readonly done = (): void => this.#take()?.resolve();
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #waiting: Waiting | null = null;
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * Resolves when `done` is called; one wait at a time.
   * @throws ReaderStalled if that takes too long; the signal's reason if it is aborted
   */
  untilDone(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting = { sinceMs: this.#clock.monotonic(), resolve, reject };
      if (this.#signal.aborted) this.#onAbort();
      else if (this.#cancelTimer === null) this.#lookIn(STALLED_MS);
    });
  }

  /** Idempotent. */
  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  #lookIn(ms: number): void {
    this.#cancelTimer = this.#clock.timer(ms, () => {
      this.#cancelTimer = null;
      if (this.#waiting === null) return;
      const leftMs = this.#waiting.sinceMs + STALLED_MS - this.#clock.monotonic();
      if (leftMs > 0) this.#lookIn(leftMs);
      else this.#take()?.reject(new ReaderStalled(`the client did not read for ${STALLED_MS / 1000} s`));
    });
  }

  readonly #onAbort = (): void => this.#take()?.reject(this.#signal.reason as Error);

  #take(): Waiting | null {
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting;
  }
}
