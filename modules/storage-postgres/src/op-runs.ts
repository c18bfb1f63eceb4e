/**
 * Ops of one bucket that came with one flush, packed into runs, each a row of the table `ops`. Its data are the ops as
 * `OpRun` has them. The row carries count, sum of checksums, first and last op id, so a run is packed before ids are
 * known, and sums need no data.
 */
import { ByteSpace, type OpDraft, type OpId } from '@sluice/core';
import { OP_ENTRY_BYTES, OpRun, putOpEntry } from '@sluice/storage';
import { OP_RUN_BYTES } from './config.ts';

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
    const bytes = OP_ENTRY_BYTES + op.body.length;
    if (this.#ops.length > 0 && this.#bytes + bytes > OP_RUN_BYTES) this.seal();
    this.#ordinals.push(ordinal);
    this.#ops.push(op);
    this.#bytes += bytes;
  }

  /** Packs what has been added since the last run. */
  seal(): void {
    const count = this.#ops.length;
    if (count === 0) return;
    const { bytes: data, view } = new ByteSpace(Buffer.allocUnsafe(this.#bytes));
    const lastOrdinal = this.#ordinals[count - 1] as number;
    const bodies = count * OP_ENTRY_BYTES;
    let checksum = 0;
    let end = 0;
    for (let at = 0; at < count; at++) {
      const op = this.#ops[at] as OpDraft;
      data.set(op.body, bodies + end);
      end += op.body.length;
      checksum = (checksum + op.checksum) | 0;
      putOpEntry(view, at * OP_ENTRY_BYTES, lastOrdinal - (this.#ordinals[at] as number), end, op.checksum);
    }
    this.runs.push({ firstOrdinal: this.#ordinals[0] as number, lastOrdinal, count, checksum, data });
    this.#ordinals = [];
    this.#ops = [];
    this.#bytes = 0;
  }
}

/** A row's data as its ops. */
export function storedRun(data: Buffer, { count, last_op }: { readonly count: number; readonly last_op: OpId }): OpRun {
  return new OpRun({ space: new ByteSpace(data), at: 0, count, lastOp: last_op });
}
