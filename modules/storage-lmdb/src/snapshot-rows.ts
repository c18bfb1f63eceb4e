/**
 * The rows of one copied chunk. They are evaluated and packed before the transaction, as if none of them was there yet,
 * which is nearly always so; the transaction then merges their keys into the index, and leaves out those it finds there.
 */
import { type Clock, invariant, type OpId, type RecordKey, type StreamId, type TableId } from '@sluice/core';
import { type Effect, inSlices, type RowWrite, type SnapshotFlush, type TableState } from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { GROUP_SLOTS } from './config.ts';
import { groupKey, hashKey, markKey } from './keys.ts';
import { EMPTY_SLOT, groupOf, GroupPacker, PARTIAL, slotOf, withSlots } from './record-groups.ts';
import { type NewEntries, RecordIndex } from './record-index.ts';
import { Records, setMarks } from './records.ts';
import type { Schema } from './schema.ts';
import { getTableSpace, putTableSpace } from './tables.ts';

const ROWS_MAX = 2 ** 20;

export class SnapshotRows {
  readonly #table: TableId;
  readonly #keys: RecordKey[] = [];
  /** Per row, the first op id it takes, counted within the flush. */
  readonly #ordinals: number[] = [];
  /** Per row, its number counted from the chunk's first group. */
  readonly #numbers: number[] = [];
  readonly #partials: number[] = [];
  readonly #packer = new GroupPacker();
  readonly #assembly = new Assembly();
  /** Rows by hash, and by place among equal ones: `hash * ROWS_MAX + place`, because numbers sort fast. */
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
    const { writes, evaluate } = flush;
    invariant(writes.length <= ROWS_MAX, 'snapshot flush: too many rows');
    const rows = new SnapshotRows(table.id);
    await inSlices(clock, writes.length, (at) => {
      const write = writes[at] as W;
      invariant(write.tableId === table.id, 'snapshot flush: a row of another table');
      const effect = evaluate(write, null, null, table);
      if (effect !== null && effect.record !== null) rows.#add(write.key, effect, effect.record);
    });
    rows.#seal();
    return rows;
  }

  #add(key: RecordKey, effect: Effect, record: Uint8Array): void {
    const at = this.#keys.length;
    this.#keys.push(key);
    this.#ordinals.push(this.#assembly.ordinals);
    this.#numbers.push(this.#packer.add(key, effect.partial ? PARTIAL : 0, record));
    if (effect.partial) this.#partials.push(at);
    this.#assembly.add(this.#table, key, effect);
  }

  #seal(): void {
    this.#packer.seal();
    this.#assembly.seal();
    const order = new Float64Array(this.#keys.length);
    for (let at = 0; at < order.length; at++) order[at] = hashKey(this.#keys[at] as RecordKey) * ROWS_MAX + at;
    this.#order = order.sort();
  }

  /** Inside the transaction. @returns the new head */
  write(schema: Schema, stream: StreamId, headOp: OpId): OpId {
    const firstGroup = getTableSpace(schema, stream, this.#table).nextGroup;
    const known = this.#addToIndex(schema, stream, firstGroup * GROUP_SLOTS);
    const assembly = known.size === 0 ? this.#assembly : this.#leaveOut(known);
    let number = firstGroup;
    for (const bytes of this.#packer.groups) {
      if (bytes.length > 0) schema.records.putSync(groupKey(stream, this.#table, number), bytes);
      number++;
    }
    const space = getTableSpace(schema, stream, this.#table);
    putTableSpace(schema, stream, this.#table, { ...space, nextGroup: number });
    for (const at of this.#partials) {
      if (known.has(at)) continue;
      const record = firstGroup * GROUP_SLOTS + (this.#numbers[at] as number);
      setMarks(schema, markKey(stream, this.#table, record), PARTIAL);
    }
    return assembly.write(schema, stream, headOp);
  }

  /** @returns the rows that are there already */
  #addToIndex(schema: Schema, stream: StreamId, first: number): Set<number> {
    const known = new Set<number>();
    const stored = new Records(schema, stream, this.#table);
    const entries = this.#entries(first);
    new RecordIndex(schema, stream, this.#table).insert(entries, (place, found) => {
      const at = this.#rowAt(place);
      const key = this.#keys[at];
      const isKnown = found.some(
        (number) => (number < first ? stored.at(number)?.key : this.#keyOf(number - first)) === key,
      );
      if (isKnown) known.add(at);
      return isKnown;
    });
    return known;
  }

  #rowAt(place: number): number {
    return (this.#order[place] as number) % ROWS_MAX;
  }

  #entries(first: number): NewEntries {
    const hashes = new Uint32Array(this.#order.length);
    const numbers = new Float64Array(this.#order.length);
    for (let place = 0; place < hashes.length; place++) {
      const at = this.#rowAt(place);
      hashes[place] = ((this.#order[place] as number) - at) / ROWS_MAX;
      numbers[place] = first + (this.#numbers[at] as number);
    }
    return { hashes, numbers };
  }

  /** Asked only when two keys of one chunk have one hash. */
  #keyOf(number: number): RecordKey | undefined {
    return this.#keys[this.#numbers.indexOf(number)];
  }

  /** Empties the slots of known rows. @returns the assembly without them */
  #leaveOut(known: ReadonlySet<number>): Assembly {
    const { groups } = this.#packer;
    const emptied = new Map<number, Map<number, Buffer>>();
    const ordinals = new Set<number>();
    for (const at of known) {
      const number = this.#numbers[at] as number;
      const slots = emptied.get(groupOf(number)) ?? new Map<number, Buffer>();
      slots.set(slotOf(number), EMPTY_SLOT);
      emptied.set(groupOf(number), slots);
      const end = this.#ordinals[at + 1] ?? this.#assembly.ordinals;
      for (let ordinal = this.#ordinals[at] as number; ordinal < end; ordinal++) ordinals.add(ordinal);
    }
    for (const [group, slots] of emptied) groups[group] = withSlots(groups[group] as Buffer, slots);
    return this.#assembly.without(ordinals);
  }
}
