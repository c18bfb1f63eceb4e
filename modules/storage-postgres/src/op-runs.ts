/**
 * Ops of one bucket that came with one flush, packed into runs, each a row of the table `ops`. Its data:
 *
 *     count * (u32 last op id - op id | u32 end of body | i32 checksum) | bodies
 *
 * little-endian, body ends counted from the first body. The row carries count, sum of checksums, first and last op id, so
 * a run is packed before ids are known, and sums need no data.
 */
import type { OpDraft, OpId } from '@sluice/core';
import { OP_RUN_BYTES } from './config.ts';

const ENTRY_BYTES = 12;

/** Ordinals count the ops and lookups of a flush: 0, 1, 2, … */
export interface PackedRun {
  readonly firstOrdinal: number;
  readonly lastOrdinal: number;
  readonly count: number;
  readonly checksum: number;
  readonly data: Buffer;
}

/** The ops of one bucket in one flush. */
export class BucketRuns {
  readonly runs: PackedRun[] = [];
  #ordinals: number[] = [];
  #ops: OpDraft[] = [];
  #bytes = 0;

  add(op: OpDraft, ordinal: number): void {
    const bytes = ENTRY_BYTES + op.body.length;
    if (this.#ops.length > 0 && this.#bytes + bytes > OP_RUN_BYTES) this.seal();
    this.#ordinals.push(ordinal);
    this.#ops.push(op);
    this.#bytes += bytes;
  }

  /** Packs what has been added since the last run. */
  seal(): void {
    const count = this.#ops.length;
    if (count === 0) return;
    const data = Buffer.allocUnsafe(this.#bytes);
    const lastOrdinal = this.#ordinals[count - 1] as number;
    const bodies = count * ENTRY_BYTES;
    let checksum = 0;
    let end = 0;
    for (let at = 0; at < count; at++) {
      const op = this.#ops[at] as OpDraft;
      data.set(op.body, bodies + end);
      end += op.body.length;
      checksum = (checksum + op.checksum) | 0;
      const entry = at * ENTRY_BYTES;
      data.writeUInt32LE(lastOrdinal - (this.#ordinals[at] as number), entry);
      data.writeUInt32LE(end, entry + 4);
      data.writeInt32LE(op.checksum, entry + 8);
    }
    this.runs.push({ firstOrdinal: this.#ordinals[0] as number, lastOrdinal, count, checksum, data });
    this.#ordinals = [];
    this.#ops = [];
    this.#bytes = 0;
  }
}

/** A stored run. Views the bytes it is given. */
export class StoredRun {
  readonly count: number;
  readonly lastOp: OpId;
  readonly #data: Buffer;

  constructor(data: Buffer, lastOp: OpId, count: number) {
    this.#data = data;
    this.lastOp = lastOp;
    this.count = count;
  }

  opId(at: number): OpId {
    return this.lastOp - this.#data.readUInt32LE(at * ENTRY_BYTES);
  }

  checksumAt(at: number): number {
    return this.#data.readInt32LE(at * ENTRY_BYTES + 8);
  }

  body(at: number): Uint8Array {
    const bodies = this.count * ENTRY_BYTES;
    return this.#data.subarray(bodies + this.#end(at - 1), bodies + this.#end(at));
  }

  #end(at: number): number {
    return at < 0 ? 0 : this.#data.readUInt32LE(at * ENTRY_BYTES + 4);
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
