/**
 * Memory for the values of one flush, cut from few large blocks: LMDB learns each block's address once, and copies a value
 * when it is put, so that whoever has ended a flush can give its blocks to the next. New memory costs as much as filling it.
 */
import { ByteSpace } from '@sluice/core';

const BLOCK_BYTES = 1 << 20;
/** What all flushes of a copy have under way. */
const FREE_MAX = 32;

const free: ByteSpace[] = [];

export class Arena {
  readonly #blocks: ByteSpace[] = [];
  #space = NOTHING;
  #used = 0;

  /** Where `take` has made room. */
  get space(): ByteSpace {
    return this.#space;
  }

  /** @returns where in `space` the room begins */
  take(bytes: number): number {
    if (this.#used + bytes > this.#space.bytes.length) this.#begin(bytes);
    const start = this.#used;
    this.#used += bytes;
    return start;
  }

  #begin(bytes: number): void {
    const block = bytes <= BLOCK_BYTES ? free.pop() : undefined;
    this.#space = block ?? new ByteSpace(Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes)));
    this.#used = 0;
    this.#blocks.push(this.#space);
  }

  /** Nobody may look at what was taken any more. */
  release(): void {
    for (const block of this.#blocks.splice(0)) {
      if (block.bytes.length === BLOCK_BYTES && free.length < FREE_MAX) free.push(block);
    }
    this.#space = NOTHING;
    this.#used = 0;
  }
}

const NOTHING = new ByteSpace(Buffer.allocUnsafeSlow(0));
