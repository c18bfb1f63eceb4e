/**
 * The rows of one copied chunk. They are evaluated and packed before the transaction, as if none of them was there yet,
 * which is nearly always so; the transaction then adds their keys to the index, in the order of their hashes, and leaves
 * out those it finds there.
 */
import { type Clock, invariant, type OpId, type StreamId, type TableId } from '@sluice/core';
import type { Effect, RowWrite, SnapshotFlush, TableState } from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { GROUP_SLOTS } from './config.ts';
import { groupKey, hashKey, indexKey, markKey } from './keys.ts';
import { emptySlot, fitsGroup, packGroup, packSlot, PARTIAL } from './record-groups.ts';
import { addIfAbsent, addToIndex, readIndex } from './record-index.ts';
import { Records, setMarks } from './records.ts';
import type { Schema } from './schema.ts';
import { inSlices } from './slices.ts';
import { nextGroup, setNextGroup } from './tables.ts';

interface Row {
  readonly key: string;
  readonly effect: Effect;
  readonly high: number;
  readonly low: number;
  /** Number counted from the chunk's first group; -1 without a record. */
  readonly number: number;
}

interface PackedGroup {
  slots: Buffer[];
  bytes: Buffer;
}

const ROWS_MAX = 2 ** 20;
const entry = Buffer.alloc(6);
const hash = { high: 0, low: 0 };

export class SnapshotRows {
  readonly #table: TableId;
  readonly #rows: Row[] = [];
  readonly #groups: PackedGroup[] = [];
  #slots: Buffer[] = [];
  #slotBytes = 0;
  #assembly = new Assembly();
  #order = new Float64Array(0);

  private constructor(table: TableId) {
    this.#table = table;
  }

  /** @param table as it is now; the guard, which the transaction checks, makes sure that it is still so then */
  static async prepare<W extends RowWrite>(
    flush: SnapshotFlush<W>,
    table: TableState,
    clock: Clock,
  ): Promise<SnapshotRows> {
    const { writes, evaluate, guard } = flush;
    invariant(writes.length <= ROWS_MAX, 'snapshot flush: too many rows');
    const rows = new SnapshotRows(guard.tableId);
    await inSlices(clock, writes.length, (at) => {
      const write = writes[at] as W;
      invariant(write.tableId === guard.tableId, 'snapshot flush: a row of another table');
      const effect = evaluate(write, null, null, table);
      if (effect !== null) rows.#add(write.key, effect);
    });
    rows.#closeGroup();
    rows.#assembly.seal();
    rows.#sort();
    return rows;
  }

  #add(key: string, effect: Effect): void {
    hashKey(key, hash);
    let number = -1;
    if (effect.record !== null) {
      const slot = packSlot(key, effect.partial ? PARTIAL : 0, effect.record);
      if (!fitsGroup(this.#slots.length, this.#slotBytes, slot.length)) this.#closeGroup();
      number = this.#groups.length * GROUP_SLOTS + this.#slots.length;
      this.#slots.push(slot);
      this.#slotBytes += slot.length;
    }
    this.#rows.push({ key, effect, high: hash.high, low: hash.low, number });
    this.#assembly.add(this.#table, key, effect);
  }

  #closeGroup(): void {
    if (this.#slots.length === 0) return;
    this.#groups.push({ slots: this.#slots, bytes: packGroup(this.#slots) });
    this.#slots = [];
    this.#slotBytes = 0;
  }

  /** By hash, and by place among equal ones, as one number each: sorting numbers is far cheaper than comparing rows. */
  #sort(): void {
    const order = new Float64Array(this.#rows.length);
    for (let at = 0; at < order.length; at++) order[at] = (this.#rows[at] as Row).high * ROWS_MAX + at;
    this.#order = order.sort();
  }

  /** Inside the transaction. @returns the new head */
  write(schema: Schema, stream: StreamId, headOp: OpId): OpId {
    const firstGroup = nextGroup(schema, stream, this.#table);
    const skipped = this.#addToIndex(schema, stream, firstGroup);
    if (skipped.size > 0) this.#leaveOut(skipped);
    let number = firstGroup;
    for (const group of this.#groups) {
      if (group.bytes.length > 0) schema.records.putSync(groupKey(stream, this.#table, number), group.bytes);
      number++;
    }
    if (number > firstGroup) setNextGroup(schema, stream, this.#table, number);
    for (const [at, row] of this.#rows.entries()) {
      if (!row.effect.partial || row.number < 0 || skipped.has(at)) continue;
      setMarks(schema, markKey(stream, this.#table, firstGroup * GROUP_SLOTS + row.number), PARTIAL);
    }
    return this.#assembly.write(schema, stream, headOp);
  }

  /** @returns the rows that are there already */
  #addToIndex(schema: Schema, stream: StreamId, firstGroup: number): Set<number> {
    const skipped = new Set<number>();
    const stored = new Records(schema, stream);
    const first = firstGroup * GROUP_SLOTS;
    for (const place of this.#order) {
      const at = place % ROWS_MAX;
      const row = this.#rows[at] as Row;
      if (row.number < 0) {
        if (stored.find(this.#table, row.key) !== null) skipped.add(at);
        continue;
      }
      entry.writeUIntBE(first + row.number, 0, 6);
      if (addIfAbsent(schema, indexKey(stream, this.#table, row.high, row.low), entry)) continue;
      const others = readIndex(schema, indexKey(stream, this.#table, row.high, row.low));
      const known = others.some((number) =>
        number >= first ? this.#keyOf(number - first) === row.key : stored.at(this.#table, number)?.key === row.key,
      );
      if (known) skipped.add(at);
      else addToIndex(schema, indexKey(stream, this.#table, row.high, row.low), first + row.number);
    }
    return skipped;
  }

  #keyOf(number: number): string | undefined {
    return this.#rows.find((row) => row.number === number)?.key;
  }

  #leaveOut(skipped: ReadonlySet<number>): void {
    const touched = new Set<PackedGroup>();
    this.#assembly = new Assembly();
    for (const [at, row] of this.#rows.entries()) {
      if (!skipped.has(at)) {
        this.#assembly.add(this.#table, row.key, row.effect);
        continue;
      }
      const group = this.#groups[Math.floor(row.number / GROUP_SLOTS)];
      if (row.number < 0 || group === undefined) continue;
      group.slots[row.number % GROUP_SLOTS] = emptySlot();
      touched.add(group);
    }
    this.#assembly.seal();
    for (const group of touched) {
      const isEmpty = group.slots.every((slot) => slot.length === 0);
      group.bytes = isEmpty ? emptySlot() : packGroup(group.slots);
    }
  }
}
