/**
 * Copied rows of one table with what they amount to while none of them is stored: few objects for many rows, so that
 * adapters copy bytes instead of looking at rows.
 */
import type { BucketName, OpDraft, RecordKey, TableId } from '@sluice/core';
import { IntList } from './int-list.ts';
import { type Item, itemOf, Places, type Run } from './places.ts';
import { keyEnd, keyOf, packSlot, PARTIAL } from './record-slot.ts';
import type { Effect, LookupDraft } from './effect.ts';

const NONE: readonly never[] = [];

export class PackedRows {
  readonly tableId: TableId;
  /** Key and record of each row: record-slot.ts. */
  readonly slots = new Places();
  /** Ops, in the order of their rows. */
  readonly bodies = new Places();
  readonly checksums = new IntList();
  /** Per op, the number of its bucket among `bucketNames`. */
  readonly bucketOf = new IntList();
  readonly bucketNames: BucketName[] = [];
  readonly #bucketNumbers = new Map<BucketName, number>();
  /** Per row, the number of its first op; one more than there are rows. */
  readonly firstOps = new IntList();
  readonly #lookups = new Map<number, readonly LookupDraft[]>();

  constructor(tableId: TableId) {
    this.tableId = tableId;
    this.firstOps.add(0);
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

  get opCount(): number {
    return this.checksums.count;
  }

  /** Of the row that `endRow` ends. */
  addOp(bucket: BucketName, checksum: number, body: Item): void {
    this.bucketOf.add(this.#numberOf(bucket));
    this.bodies.add(body);
    this.checksums.add(checksum);
  }

  /** Neighbours mostly have one bucket. */
  #numberOf(bucket: BucketName): number {
    const { bucketOf, bucketNames } = this;
    if (bucketOf.count > 0) {
      const last = bucketOf.at(bucketOf.count - 1);
      if (bucketNames[last] === bucket) return last;
    }
    const known = this.#bucketNumbers.get(bucket);
    if (known !== undefined) return known;
    this.#bucketNumbers.set(bucket, bucketNames.length);
    return bucketNames.push(bucket) - 1;
  }

  /** Another body in the place of an op of the same bucket. */
  replaceOp(op: number, checksum: number, body: Item): void {
    this.bodies.replace(op, body);
    this.checksums.set(op, checksum);
  }

  endRow(slot: Item, lookups: readonly LookupDraft[]): void {
    if (lookups.length > 0) this.#lookups.set(this.count, lookups);
    this.slots.add(slot);
    this.firstOps.add(this.opCount);
  }

  /** As `addOp`. @param buckets of these ops, from `first` on */
  addOps(bodies: Run, checksums: Int32Array, buckets: readonly BucketName[], first: number): void {
    this.bodies.addRun(bodies);
    for (let op = 0; op < bodies.count; op++) {
      this.bucketOf.add(this.#numberOf(buckets[first + op] as BucketName));
      this.checksums.add(checksums[op] as number);
    }
  }

  /** Rows without lookups, whose ops have been added. @param opsAfter how many of these are of later ones, for each row */
  endRows(slots: Run, opsAfter: (row: number) => number): void {
    this.slots.addRun(slots);
    for (let row = 0; row < slots.count; row++) this.firstOps.add(this.opCount - opsAfter(row));
  }

  key(at: number): RecordKey {
    return keyOf(this.slots.space(at).bytes, this.slots.start(at));
  }

  isPartial(at: number): boolean {
    return ((this.slots.space(at).bytes[this.slots.start(at)] as number) & PARTIAL) !== 0;
  }

  /** The number of the row's first op; that of the next row's, if it has none. */
  firstOp(at: number): number {
    return this.firstOps.at(at);
  }

  bucket(op: number): BucketName {
    return this.bucketNames[this.bucketOf.at(op)] as BucketName;
  }

  get hasLookups(): boolean {
    return this.#lookups.size > 0;
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
      ops.push({ bucket: this.bucket(op), checksum: this.checksums.at(op), body: this.bodies.view(op) });
    }
    return { record: this.record(at), ops, lookups: this.lookups(at), partial: this.isPartial(at) };
  }
}
