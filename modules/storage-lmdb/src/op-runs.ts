/**
 * Ops of one bucket that came with one flush, packed into runs:
 *
 *     u32 count | i32 sum of checksums | ops as `OpRun` has them
 *
 * little-endian. The run's key carries the id of its last op, so a run is packed before ids are known.
 */
import { ByteSpace, type OpId } from '@sluice/core';
import { type Item, type MemoryPlace, OP_ENTRY_BYTES, OpRun, putOpEntry } from '@sluice/storage';
import type { Arena } from './arena.ts';
import { OP_RUN_BYTES } from './config.ts';

export const RUN_HEAD_BYTES = 8;

export function putRunHead(view: DataView, at: number, { count, sum }: { count: number; sum: number }): void {
  view.setUint32(at, count, true);
  view.setInt32(at + 4, sum, true);
}

/** A packed run. Ordinals count the ops and lookups of a flush: 0, 1, 2, … */
export interface PackedRun {
  readonly lastOrdinal: number;
  readonly bytes: Buffer;
}

export class BucketRuns {
  readonly runs: PackedRun[] = [];
  checksum = 0;
  count = 0;
  lastOrdinal = 0;

  readonly #arena: Arena;
  /** Of the open run. */
  #ordinals: number[] = [];
  #checksums: number[] = [];
  #spaces: ByteSpace[] = [];
  #starts: number[] = [];
  #ends: number[] = [];
  #bytes = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  add({ space, start, end }: Item, checksum: number, ordinal: number): void {
    const bytes = OP_ENTRY_BYTES + end - start;
    if (this.#bytes > 0 && RUN_HEAD_BYTES + this.#bytes + bytes > OP_RUN_BYTES) this.seal();
    this.#ordinals.push(ordinal);
    this.#checksums.push(checksum);
    this.#spaces.push(space);
    this.#starts.push(start);
    this.#ends.push(end);
    this.#bytes += bytes;
    this.checksum = (this.checksum + checksum) | 0;
    this.count++;
    this.lastOrdinal = ordinal;
  }

  /** Packs what has been added since the last run. */
  seal(): void {
    const count = this.#ordinals.length;
    if (count === 0) return;
    const length = RUN_HEAD_BYTES + this.#bytes;
    const start = this.#arena.take(length);
    const { view, bytes } = this.#arena.space;
    const lastOrdinal = this.#ordinals[count - 1] as number;
    let sum = 0;
    let end = 0;
    for (let at = 0; at < count; at++) {
      const checksum = this.#checksums[at] as number;
      end += (this.#ends[at] as number) - (this.#starts[at] as number);
      sum = (sum + checksum) | 0;
      const distance = lastOrdinal - (this.#ordinals[at] as number);
      putOpEntry(view, start + RUN_HEAD_BYTES + at * OP_ENTRY_BYTES, distance, end, checksum);
    }
    putRunHead(view, start, { count, sum });
    this.#copyBodies(bytes, start + RUN_HEAD_BYTES + count * OP_ENTRY_BYTES);
    this.runs.push({ lastOrdinal, bytes: bytes.subarray(start, start + length) });
    this.#ordinals = [];
    this.#checksums = [];
    this.#spaces = [];
    this.#starts = [];
    this.#ends = [];
    this.#bytes = 0;
  }

  /** Bodies that stand one behind the other are copied at once. */
  #copyBodies(target: Buffer, at: number): void {
    let from = 0;
    while (from < this.#ends.length) {
      const space = this.#spaces[from] as ByteSpace;
      let to = from + 1;
      while (this.#spaces[to] === space && this.#starts[to] === this.#ends[to - 1]) to++;
      at += space.bytes.copy(target, at, this.#starts[from], this.#ends[to - 1]);
      from = to;
    }
  }
}

/** Views the bytes where they are. */
export class StoredRun extends OpRun {
  /** Sum of its ops' checksums. */
  readonly sum: number;

  constructor({ space, at }: MemoryPlace, lastOp: OpId) {
    super({ space, at: at + RUN_HEAD_BYTES, count: space.view.getUint32(at, true), lastOp });
    this.sum = space.view.getInt32(at + 4, true);
  }
}
