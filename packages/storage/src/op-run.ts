/**
 * Ops of one bucket that were written together, packed in one buffer:
 *
 *     count * (u32 last op id - op id | u32 end of body | i32 checksum) | bodies
 *
 * little-endian, body ends counted from the first body. Adapters may store ops like this, reads give them like this, and
 * what is sent is made from it: between storage and socket there is no object for an op.
 */
import { ByteSpace, type OpDraft, type OpId } from '@sluice/core';

export const OP_ENTRY_BYTES = 12;

/** Writes one entry of the table. @param distance from the op to the last one, in ids @param end of its body */
export function putOpEntry(view: DataView, at: number, distance: number, end: number, checksum: number): void {
  view.setUint32(at, distance, true);
  view.setUint32(at + 4, end, true);
  view.setInt32(at + 8, checksum, true);
}

export interface PackedOps {
  /** Holds the table and the bodies. */
  readonly space: ByteSpace;
  /** Where its table begins. */
  readonly at: number;
  readonly count: number;
  readonly lastOp: OpId;
}

export class OpRun {
  readonly space: ByteSpace;
  readonly count: number;
  readonly lastOp: OpId;
  readonly #table: number;
  readonly #bodies: number;

  constructor({ space, at, count, lastOp }: PackedOps) {
    this.space = space;
    this.count = count;
    this.lastOp = lastOp;
    this.#table = at;
    this.#bodies = at + count * OP_ENTRY_BYTES;
  }

  opId(at: number): OpId {
    return this.lastOp - this.space.view.getUint32(this.#table + at * OP_ENTRY_BYTES, true);
  }

  checksum(at: number): number {
    return this.space.view.getInt32(this.#table + at * OP_ENTRY_BYTES + 8, true);
  }

  /** Where a body begins in `space`; that of `count` is where the last one ends. */
  bodyAt(at: number): number {
    return at === 0
      ? this.#bodies
      : this.#bodies + this.space.view.getUint32(this.#table + at * OP_ENTRY_BYTES - 8, true);
  }

  body(at: number): Uint8Array {
    return this.bodies(at, at + 1);
  }

  bodies(from: number, to: number): Uint8Array {
    return this.space.view8(this.bodyAt(from), this.bodyAt(to));
  }

  /** Of the table. */
  entries(from: number, to: number): Uint8Array {
    return this.space.view8(this.#table + from * OP_ENTRY_BYTES, this.#table + to * OP_ENTRY_BYTES);
  }

  /** The first op behind `opId`; `count` if there is none. */
  firstAfter(opId: OpId): number {
    return this.#first((at) => this.opId(at) > opId);
  }

  /** The first op whose body does not begin before `end`; `count` if there is none. */
  firstFrom(end: number): number {
    return this.#first((at) => this.bodyAt(at) >= end);
  }

  /** Of something that holds for no op before it and for all behind it. */
  #first(holds: (at: number) => boolean): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Some ops of a run that follow each other: one at least. */
export class OpSlice {
  readonly run: OpRun;
  readonly from: number;
  readonly to: number;

  constructor(run: OpRun, from: number, to: number) {
    this.run = run;
    this.from = from;
    this.to = to;
  }

  get count(): number {
    return this.to - this.from;
  }

  /** Of bodies. */
  get bytes(): number {
    return this.run.bodyAt(this.to) - this.run.bodyAt(this.from);
  }

  get firstOp(): OpId {
    return this.run.opId(this.from);
  }

  get lastOp(): OpId {
    return this.run.opId(this.to - 1);
  }
}

export interface LooseOp extends Pick<OpDraft, 'checksum' | 'body'> {
  readonly id: OpId;
}

/** Ops that storage does not hold packed: one at least. */
export function packOps(ops: readonly LooseOp[]): OpSlice {
  const bodies = ops.length * OP_ENTRY_BYTES;
  const lastOp = ops.at(-1)?.id ?? 0;
  const space = new ByteSpace(Buffer.allocUnsafe(ops.reduce((bytes, { body }) => bytes + body.length, bodies)));
  let end = 0;
  for (const [index, { id, checksum, body }] of ops.entries()) {
    space.bytes.set(body, bodies + end);
    end += body.length;
    putOpEntry(space.view, index * OP_ENTRY_BYTES, lastOp - id, end, checksum);
  }
  return new OpSlice(new OpRun({ space, at: 0, count: ops.length, lastOp }), 0, ops.length);
}

/** One by one, for those who look into each. */
export function* eachOp(slices: readonly OpSlice[]): Generator<{ readonly opId: OpId; readonly body: Uint8Array }> {
  for (const { run, from, to } of slices)
    for (let at = from; at < to; at++) yield { opId: run.opId(at), body: run.body(at) };
}

export function countOps(slices: readonly OpSlice[]): number {
  return slices.reduce((count, slice) => count + slice.count, 0);
}
