/**
 * When positions without rows are published. A client's write checkpoint waits for its position, so the first one goes
 * out at once. But storage may stand on the source's own server, and then each checkpoint is WAL, and so the next
 * position: as long as no transaction comes, each one waits twice as long as the one before.
 */
import type { Clock, Position } from '@sluice/core';

const SPACING_FIRST_MS = 50;
const SPACING_MAX_MS = 5_000;

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

  /** The source has done something: from here on positions are of interest again. */
  sawTransaction(): void {
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
