/**
 * One stored value that many wait on. Whoever wrote it in this process, and the listener for all others, ask for a look;
 * any number of asks while a look is under way make one more. Polling stands behind both, only while there are watchers.
 */
import { type Clock, Latest, type Logger } from '@sluice/core';

export interface WatchOptions<T> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pollMs: number;
  readonly read: () => Promise<T>;
  readonly same: (a: T, b: T) => boolean;
  /** Told when the first watcher comes and when the last one has gone. */
  readonly onWatched?: (isWatched: boolean) => void;
}

type Seen<T> = { readonly value: T } | null;

export class Watched<T> {
  readonly #options: WatchOptions<T>;
  readonly #latest = new Latest<Seen<T>>(null);
  #watchers = 0;
  #cancelPoll: () => void = () => undefined;
  #looking: Promise<void> | null = null;
  #lookAgain = false;
  #stopped = false;

  constructor(options: WatchOptions<T>) {
    this.#options = options;
  }

  /** Looks again, and wakes the watchers if the value is not the same any more. */
  refresh(): void {
    if (this.#watchers === 0 || this.#stopped) return;
    void this.#look();
  }

  /** The newest value now, then whenever it changed; values in between may be skipped. Ends when the signal aborts. */
  async *watch(signal: AbortSignal): AsyncIterable<T> {
    if (this.#watchers++ === 0) {
      this.#options.onWatched?.(true);
      this.#poll();
    }
    try {
      await this.#look();
      while (!signal.aborted) {
        const { version, value: seen } = this.#latest;
        if (seen !== null) yield seen.value;
        try {
          await this.#latest.changed(version, signal);
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      }
    } finally {
      if (--this.#watchers === 0) {
        this.#cancelPoll();
        this.#options.onWatched?.(false);
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelPoll();
  }

  /** Resolves when a look that began after this call has ended. Failures are left to the next look. */
  async #look(): Promise<void> {
    if (this.#looking !== null) {
      this.#lookAgain = true;
      return this.#looking;
    }
    this.#looking = this.#lookUntilStill();
    await this.#looking;
  }

  async #lookUntilStill(): Promise<void> {
    const { read, same, logger } = this.#options;
    try {
      do {
        this.#lookAgain = false;
        const value = await read();
        const known = this.#latest.value;
        if (known === null || !same(value, known.value)) this.#latest.set({ value });
      } while (this.#lookAgain && !this.#stopped);
    } catch (error) {
      if (!this.#stopped)
        logger.debug({ error: String(error) }, 'the storage could not be looked at; tried again soon');
    } finally {
      this.#looking = null;
    }
  }

  #poll(): void {
    const { clock, pollMs } = this.#options;
    this.#cancelPoll();
    this.#cancelPoll = clock.timer(pollMs, () => {
      this.refresh();
      this.#poll();
    });
  }
}
