/**
 * Copied rows of one table with what they amount to while none of them is stored: few objects for many rows, so that
 * adapters copy bytes instead of looking at rows.
 */
import type { BucketName, OpDraft, RecordKey, TableId } from '@sluice/core';
import { type Item, itemOf, Places } from './places.ts';
import { keyEnd, keyOf, packSlot, PARTIAL } from './record-slot.ts';
import type { Effect, LookupDraft } from './effect.ts';

const NONE: readonly never[] = [];

export class PackedRows {
  readonly tableId: TableId;
  /** Key and record of each row: record-slot.ts. */
  readonly slots = new Places();
  /** Ops, in the order of their rows. */
  readonly bodies = new Places();
  readonly checksums: number[] = [];
  readonly buckets: BucketName[] = [];
  readonly #firstOps: number[] = [0];
  readonly #lookups = new Map<number, readonly LookupDraft[]>();

  constructor(tableId: TableId) {
    this.tableId = tableId;
  }

  /** @param rows whose effects have records */
  static of(tableId: TableId, rows: Iterable<{ readonly key: RecordKey; readonly effect: Effect }>): PackedRows {
    const packed = new PackedRows(tableId);
    for (const { key, effect } of rows) {
      const { ops, record, lookups, partial } = effect;
      if (record === null) continue;
      for (const { bucket, checksum, body } of ops) packed.addOp(bucket, checksum, itemOf(body));
      packed.endRow(itemOf(packSlot(key, partial ? PARTIAL : 0, record)), lookups);
    }
    return packed;
  }

  get count(): number {
    return this.slots.count;
  }

  /** Of the row that `endRow` ends. */
  addOp(bucket: BucketName, checksum: number, body: Item): void {
    this.buckets.push(bucket);
    this.bodies.add(body);
    this.checksums.push(checksum);
  }

  /** Another body in the place of an op of the same bucket. */
  replaceOp(op: number, checksum: number, body: Item): void {
    this.bodies.replace(op, body);
    this.checksums[op] = checksum;
  }

  endRow(slot: Item, lookups: readonly LookupDraft[]): void {
    if (lookups.length > 0) this.#lookups.set(this.count, lookups);
    this.slots.add(slot);
    this.#firstOps.push(this.checksums.length);
  }

  key(at: number): RecordKey {
    return keyOf(this.slots.space(at).bytes, this.slots.start(at));
  }

  isPartial(at: number): boolean {
    return ((this.slots.space(at).bytes[this.slots.start(at)] as number) & PARTIAL) !== 0;
  }

  /** The number of the row's first op; that of the next row's, if it has none. */
  firstOp(at: number): number {
    return this.#firstOps[at] as number;
  }

  lookups(at: number): readonly LookupDraft[] {
    return this.#lookups.size === 0 ? NONE : (this.#lookups.get(at) ?? NONE);
  }

  /** Views what was packed. */
  record(at: number): Uint8Array {
    const space = this.slots.space(at);
    return space.view8(keyEnd(space.bytes, this.slots.start(at)), this.slots.end(at));
  }

  /** For adapters that look at single rows. Views what was packed. */
  effect(at: number): Effect & { readonly record: Uint8Array } {
    const ops: OpDraft[] = [];
    for (let op = this.firstOp(at); op < this.firstOp(at + 1); op++) {
      const [bucket, checksum] = [this.buckets[op] as BucketName, this.checksums[op] as number];
      ops.push({ bucket, checksum, body: this.bodies.view(op) });
    }
    return { record: this.record(at), ops, lookups: this.lookups(at), partial: this.isPartial(at) };
  }
}
