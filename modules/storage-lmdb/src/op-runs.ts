/**
 * Ops of one bucket that came with one flush, packed into runs:
 *
 *     u32 count | i32 sum of checksums | count * (u32 last op id - op id | u32 end of body | i32 checksum) | bodies
 *
 * little-endian, body ends counted from the first body. The run's key carries the id of its last op, so a run is packed
 * before ids are known.
 */
import type { ByteSpace, OpId } from '@sluice/core';
import type { Item } from '@sluice/storage';
import { Arena } from './arena.ts';
import { OP_RUN_BYTES } from './config.ts';

const HEAD_BYTES = 8;
const ENTRY_BYTES = 12;

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
    const bytes = ENTRY_BYTES + end - start;
    if (this.#bytes > 0 && HEAD_BYTES + this.#bytes + bytes > OP_RUN_BYTES) this.seal();
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
    const bytes = this.#arena.take(HEAD_BYTES + this.#bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const lastOrdinal = this.#ordinals[count - 1] as number;
    let sum = 0;
    let end = 0;
    for (let at = 0; at < count; at++) {
      const checksum = this.#checksums[at] as number;
      end += (this.#ends[at] as number) - (this.#starts[at] as number);
      sum = (sum + checksum) | 0;
      const entry = HEAD_BYTES + at * ENTRY_BYTES;
      view.setUint32(entry, lastOrdinal - (this.#ordinals[at] as number), true);
      view.setUint32(entry + 4, end, true);
      view.setInt32(entry + 8, checksum, true);
    }
    view.setUint32(0, count, true);
    view.setInt32(4, sum, true);
    this.#copyBodies(bytes, HEAD_BYTES + count * ENTRY_BYTES);
    this.runs.push({ lastOrdinal, bytes });
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

/** A stored run. Views the bytes it is given. */
export class StoredRun {
  readonly count: number;
  readonly checksum: number;
  readonly lastOp: OpId;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #bodies: number;

  constructor(bytes: Uint8Array, lastOp: OpId) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.lastOp = lastOp;
    this.count = this.#view.getUint32(0, true);
    this.checksum = this.#view.getInt32(4, true);
    this.#bodies = HEAD_BYTES + this.count * ENTRY_BYTES;
  }

  opId(at: number): OpId {
    return this.lastOp - this.#view.getUint32(HEAD_BYTES + at * ENTRY_BYTES, true);
  }

  checksumAt(at: number): number {
    return this.#view.getInt32(HEAD_BYTES + at * ENTRY_BYTES + 8, true);
  }

  body(at: number): Uint8Array {
    const start = this.#end(at - 1);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#bodies + start, this.#end(at) - start);
  }

  #end(at: number): number {
    return at < 0 ? 0 : this.#view.getUint32(HEAD_BYTES + at * ENTRY_BYTES + 4, true);
  }

  /** Position of the first op behind `opId`; `count` if there is none. */
  firstAfter(opId: OpId): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.opId(middle) > opId) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
