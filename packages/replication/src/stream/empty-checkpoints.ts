/**
 * When positions behind which nothing of ours happened are written down. A client's write checkpoint may wait for one, so
 * the first goes out at once. But storage may stand on the source's own server, even in its database, and then each write
 * is WAL, and so the next position: as long as nothing of ours happens, each one waits twice as long as the one before.
 */
import type { Clock, Position } from '@sluice/core';

const SPACING_FIRST_MS = 50;
const SPACING_MAX_MS = 2_000;

export class EmptyCheckpoints {
  readonly #clock: Clock;
  readonly #publish: (position: Position) => void;
  #spacingMs = 0;
  #publishedAtMs = Number.NEGATIVE_INFINITY;
  #waiting: Position | null = null;
  #cancel: () => void = () => undefined;

  /** @param publish called later for a position that was put off, unless a newer one came */
  constructor(clock: Clock, publish: (position: Position) => void) {
    this.#clock = clock;
    this.#publish = publish;
  }

  /** Something of ours happened: from here on positions are of interest again, and newer than what waits. */
  sawNews(): void {
    this.stop();
    this.#spacingMs = 0;
  }

  /** @returns whether the position is to be published now; if not, it is later */
  isDue(position: Position): boolean {
    const waitMs = this.#publishedAtMs + this.#spacingMs - this.#clock.monotonic();
    if (waitMs <= 0) {
      this.#published();
      return true;
    }
    if (this.#waiting === null) this.#cancel = this.#clock.timer(waitMs, () => this.#publishWaiting());
    this.#waiting = position;
    return false;
  }

  stop(): void {
    this.#cancel();
    this.#waiting = null;
  }

  #publishWaiting(): void {
    const position = this.#waiting;
    if (position === null) return;
    this.#published();
    this.#publish(position);
  }

  #published(): void {
    this.stop();
    this.#publishedAtMs = this.#clock.monotonic();
    this.#spacingMs = Math.min(SPACING_MAX_MS, Math.max(SPACING_FIRST_MS, 2 * this.#spacingMs));
  }
}
