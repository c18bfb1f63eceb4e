/**
 * How large the next chunk of one task should be: what has lately taken about half a second, so that the copy obeys,
 * yields and saves its cursor that often, whatever the speed of source and storage.
 *
 * A chunk is what a task holds that its stored cursor does not cover, and so what is read again after a crash. It has two
 * halves: one is on its way to storage while the other is gathered. Neither grows beyond its size, since a half is full as
 * soon as one more read might not fit; only a row that is larger than that is taken all the same.
 */
import { limits } from '@sluice/core';
import { READ_OVERSHOOT } from '../change-source.ts';

const HALF_TARGET_MS = 250;
const HALF_BYTES_MIN = 64 * 1024;
/** Small, so that a copy which is held to a rate is so from its first chunk; it doubles with each that is quick. */
const HALF_BYTES_FIRST = 256 * 1024;
const HALF_BYTES_MAX = limits.snapshotChunkBytesMax / 2;
/** Reads are statements, and each holds a lock on the table and rows in memory while it lasts. */
const READ_BYTES_MAX = 1024 * 1024;
/** One slow chunk, or one quick one, does not say much. */
const GROWTH_MAX = 2;
const SHRINK_MAX = 0.25;

export class ChunkSize {
  #half = HALF_BYTES_FIRST;

  /** What a half may hold at most. */
  get halfBytes(): number {
    return this.#half;
  }

  /** Asked for in one read: of a small half as much as it may hold, since the way to the source may be long. */
  get readBytes(): number {
    return Math.min(READ_BYTES_MAX, Math.floor(this.#half / READ_OVERSHOOT));
  }

  /** From here on another read might be too much. */
  get fullBytes(): number {
    return this.#half - READ_OVERSHOOT * this.readBytes;
  }

  /** What a half is about, when it is full: the last read is rarely a whole one. */
  get expectedBytes(): number {
    return this.fullBytes + this.readBytes / 2;
  }

  /**
   * @param ms from the begin of a half until it was gathered, waits for its turn included. The wait for storage is not:
   *   smaller halves cost storage more, so that halves which shrink when it is slow would make it slower.
   */
  took(ms: number): void {
    const factor = ms <= 0 ? GROWTH_MAX : Math.min(GROWTH_MAX, Math.max(SHRINK_MAX, HALF_TARGET_MS / ms));
    this.#half = Math.min(HALF_BYTES_MAX, Math.max(HALF_BYTES_MIN, Math.round(this.#half * factor)));
  }
}
