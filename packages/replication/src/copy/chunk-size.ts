/**
 * How many bytes the next chunk of one task should have: what has lately taken about half a second, so that the copy
 * obeys, yields and saves its cursor that often, whatever the speed of source and storage.
 */
import { limits } from '@sluice/core';

const TARGET_MS = 500;
const BYTES_MIN = 64 * 1024;
/** Small, so that a copy which is held to a rate is so from its first chunk; it doubles with each that is quick. */
const BYTES_FIRST = 256 * 1024;
/** One slow chunk, or one quick one, does not say much. */
const GROWTH_MAX = 2;
const SHRINK_MAX = 0.25;

export class ChunkSize {
  #bytes = BYTES_FIRST;

  get bytes(): number {
    return this.#bytes;
  }

  /** Of one read: smaller chunks are read at once. */
  get readBytes(): number {
    return Math.min(this.#bytes, limits.snapshotChunkBytes);
  }

  /** @param ms from the begin of the chunk to the begin of the next one, waits included */
  took(bytes: number, ms: number): void {
    if (bytes < BYTES_MIN) return;
    const factor = ms <= 0 ? GROWTH_MAX : Math.min(GROWTH_MAX, Math.max(SHRINK_MAX, TARGET_MS / ms));
    const wanted = Math.round(Math.max(this.#bytes * SHRINK_MAX, Math.min(bytes, this.#bytes) * factor));
    this.#bytes = Math.min(limits.snapshotFlushBytesMax, Math.max(BYTES_MIN, wanted));
  }
}
