/**
 * Items written one behind the other in large buffers. A buffer that is full is let go, not written again: what was made
 * of it stays, until the slab's owner gives it back, if it was lent.
 */
import { ByteSpace } from './byte-space.ts';
import { type BufferSource, newBuffers } from './lent-buffers.ts';

export class ByteSlab {
  readonly #buffers: BufferSource;
  space = new ByteSpace(Buffer.allocUnsafeSlow(0));
  /** The newest item. */
  start = 0;
  end = 0;

  constructor(buffers: BufferSource = newBuffers) {
    this.#buffers = buffers;
  }

  get bytes(): Buffer {
    return this.space.bytes;
  }

  /** The newest item, viewing `bytes`. */
  view(): Uint8Array {
    return this.space.view8(this.start, this.end);
  }

  /** Many items that stand one behind the other. @returns where the first one starts now */
  append(source: Uint8Array, from: number, to: number): number {
    this.begin(to - from);
    this.bytes.set(source.subarray(from, to), this.start);
    this.end = this.start + to - from;
    return this.start;
  }

  /** Makes room for an item of at most so many bytes behind the newest one, which ends there until `end` is moved. */
  protected begin(bytesMax: number): void {
    if (this.end + bytesMax > this.bytes.length) {
      this.space = this.#buffers.take(bytesMax);
      this.end = 0;
    }
    this.start = this.end;
  }
}
