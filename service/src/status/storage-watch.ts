/** Whether storage answers: asked for its shortest list every few seconds, beside all other work. */
import type { Clock } from '@sluice/core';
import type { BucketStorage } from '@sluice/storage';

const INTERVAL_MS = 5_000;

export class StorageWatch {
  readonly #storage: Pick<BucketStorage, 'listStreams'>;
  readonly #clock: Clock;
  #answeredAtMs: number;

  constructor(storage: Pick<BucketStorage, 'listStreams'>, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
    this.#answeredAtMs = clock.monotonic();
  }

  /** Time since it last answered. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#answeredAtMs;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#storage.listStreams();
        this.#answeredAtMs = this.#clock.monotonic();
      } catch {
        // Said by `silentMs`, and by all that needs storage.
      }
      await this.#clock.sleep(INTERVAL_MS, signal).catch(() => {});
    }
  }
}
