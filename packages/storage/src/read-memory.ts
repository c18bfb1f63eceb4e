/**
 * Memory that ops are read into, the same for one read after the other: new memory for everything that is read costs page
 * faults, and collections of the whole heap.
 */
import { ByteSpace } from '@sluice/core';

export interface MemoryPlace {
  readonly space: ByteSpace;
  readonly at: number;
}

const BLOCK_BYTES_MIN = 64 * 1024;
/** Larger rows are rare, and must not keep their room. */
const BLOCK_BYTES_KEPT_MAX = 4 * 1024 * 1024;

export class ReadMemory {
  #block = new ByteSpace(Buffer.alloc(0));
  #used = 0;

  /** Copies bytes to where they stand until `clear`. */
  keep(bytes: Uint8Array): MemoryPlace {
    if (this.#used + bytes.length > this.#block.bytes.length) this.#begin(bytes.length);
    const place = { space: this.#block, at: this.#used };
    this.#block.bytes.set(bytes, place.at);
    this.#used += bytes.length;
    return place;
  }

  /** What stands in the block before stays there for as long as somebody refers to it. */
  #begin(bytes: number): void {
    const length = Math.max(2 * this.#block.bytes.length, bytes, BLOCK_BYTES_MIN);
    this.#block = new ByteSpace(Buffer.allocUnsafeSlow(length));
    this.#used = 0;
  }

  /** Nobody looks any more at what was read. */
  clear(): void {
    this.#used = 0;
    if (this.#block.bytes.length > BLOCK_BYTES_KEPT_MAX) this.#block = new ByteSpace(Buffer.alloc(0));
  }
}
