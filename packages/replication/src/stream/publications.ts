/**
 * Batches on their way to the disk: a few at once, so that the next is prepared while storage waits for the last. The
 * first failure aborts whoever feeds them; it is not lost if nothing is fed any more.
 */
const IN_FLIGHT_MAX = 2;

export class Publications {
  readonly #failed: AbortController;
  #inFlight: Promise<void>[] = [];

  constructor(failed: AbortController) {
    this.#failed = failed;
  }

  /** Resolves when there is room for another. */
  async add(publication: Promise<void>): Promise<void> {
    const guarded = publication.catch((error: unknown) => this.#failed.abort(error));
    this.#inFlight.push(guarded);
    if (this.#inFlight.length >= IN_FLIGHT_MAX) await this.#inFlight.shift();
    this.#failed.signal.throwIfAborted();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#inFlight);
  }
}
