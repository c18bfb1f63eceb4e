/**
 * When rows that the stream left with gaps are completed (rule R7): before a commit that may show them, and not sooner. A
 * re-read waits until all transactions in progress have ended, and the stream with it; while it replays, or has not passed
 * an earlier re-read, storage refuses checkpoints anyway, so that one re-read does for many flushes.
 */
import { maxPosition, type Position } from '@sluice/core';

/**
 * Completes rows with gaps.
 * @returns the position before which storage makes no checkpoint because of that; null if nothing was read
 */
export type CompleteRows = () => Promise<Position | null>;

export class Gaps {
  readonly #complete: CompleteRows;
  /** Storage makes no checkpoint before this. */
  #shownFrom: Position;
  /** How often gaps were left. At the start, whoever wrote before may have left some: they are stored. */
  #left = 1;
  /** As of which of those they have been completed. */
  #completed = 0;
  #completing: Promise<void> | null = null;

  /** @param shownFrom before which storage makes no checkpoint, as is stored */
  constructor(shownFrom: Position, complete: CompleteRows) {
    this.#shownFrom = shownFrom;
    this.#complete = complete;
  }

  /** A flush that has ended left gaps. */
  leave(): void {
    this.#left++;
  }

  /** Whether a commit at the position could show gaps. */
  areShownAt(position: Position): boolean {
    return this.#completed < this.#left && position >= this.#shownFrom;
  }

  /** Until a commit at the position shows none. */
  async close(position: Position): Promise<void> {
    while (this.areShownAt(position)) {
      this.#completing ??= this.#closeAll().finally(() => {
        this.#completing = null;
      });
      await this.#completing;
    }
  }

  async #closeAll(): Promise<void> {
    const left = this.#left;
    this.#shownFrom = maxPosition(this.#shownFrom, await this.#complete()) ?? this.#shownFrom;
    this.#completed = left;
  }
}
