/**
 * Where a slab's buffers come from. A megabyte that is new costs more than what is written to it: its pages are mapped and
 * cleared, and the garbage collector has to find out that it is not used any more. Buffers that are lent are used again.
 */
import { ByteSpace } from './byte-space.ts';

const BUFFER_BYTES = 1 << 20;
const SPARE_MAX = 32;

export interface BufferSource {
  /** For an item of at most so many bytes, and perhaps others. */
  take(bytes: number): ByteSpace;
}

export const newBuffers: BufferSource = {
  take: (bytes) => new ByteSpace(Buffer.allocUnsafeSlow(Math.max(BUFFER_BYTES, bytes))),
};

const spare: ByteSpace[] = [];

export class LentBuffers implements BufferSource {
  #lent: ByteSpace[] = [];

  take(bytes: number): ByteSpace {
    const space = (bytes <= BUFFER_BYTES ? spare.pop() : undefined) ?? newBuffers.take(bytes);
    this.#lent.push(space);
    return space;
  }

  /** When nothing reads or writes them any more: they are written over. */
  giveBack(): void {
    for (const space of this.#lent) {
      if (space.bytes.length === BUFFER_BYTES && spare.length < SPARE_MAX) spare.push(space);
    }
    this.#lent = [];
  }
}
