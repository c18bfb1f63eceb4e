/**
 * Memory for the values of one flush, cut from few large blocks: LMDB learns each block's address once, and copies a value
 * when it is put, so that whoever has ended a flush can give its blocks back.
 */
import { ByteSpace, LentBuffers } from '@sluice/core';

export class Arena {
  readonly #blocks = new LentBuffers();
  #space = new ByteSpace(Buffer.alloc(0));
  #used = 0;

  /** Where `take` has made room. */
  get space(): ByteSpace {
    return this.#space;
  }

  /** @returns where in `space` the room begins */
  take(bytes: number): number {
    if (this.#used + bytes > this.#space.bytes.length) {
      this.#space = this.#blocks.take(bytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return start;
  }

  /** When nobody looks at what was taken any more. Nothing can be taken afterwards. */
  release(): void {
    this.#blocks.giveBack();
  }
}
