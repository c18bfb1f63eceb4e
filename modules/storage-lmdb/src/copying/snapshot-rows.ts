/**
 * The rows of one copied chunk. What they amount to is cut into stored values before the transaction, as if none of them
 * was there yet, which is nearly always so; the transaction then merges their keys into the index, and leaves out those it
 * finds there.
 */
import { type Clock, invariant, type OpId, type RecordKey, type StreamId } from '@sluice/core';
import { inSlices, type PackedRows, PARTIAL } from '@sluice/storage';
import { Assembly } from '../assembly.ts';
import { GROUP_SLOTS } from '../config.ts';
import { groupKey, hashSlotKey, markKey } from '../keys.ts';
import { EMPTY_SLOT, groupOf, GroupPacker, slotOf, withSlots } from '../record-groups.ts';
import type { NewEntries } from '../record-index/index-entries.ts';
import { RecordIndex } from '../record-index/record-index.ts';
import { Records, setMarks } from '../records.ts';
import type { Schema } from '../schema.ts';
import { getTableSpace, putTableSpace } from '../tables.ts';

const ROWS_MAX = 2 ** 20;

export class SnapshotRows {
  readonly #rows: PackedRows;
  /** Per row, its number counted from the chunk's first group. */
  readonly #numbers: Uint32Array;
  readonly #packer = new GroupPacker();
  /** Rows by hash, and by place among equal ones: `hash * ROWS_MAX + place`, because numbers sort fast. */
  readonly #order: Float64Array;
  readonly #partials: number[] = [];
  readonly #assembly = new Assembly();

  private constructor(rows: PackedRows) {
    this.#rows = rows;
    this.#numbers = new Uint32Array(rows.count);
    this.#order = new Float64Array(rows.count);
  }

  static async prepare(packed: PackedRows, clock: Clock): Promise<SnapshotRows> {
    invariant(packed.count <= ROWS_MAX, 'snapshot flush: too many rows');
    const rows = new SnapshotRows(packed);
    await inSlices(clock, packed.count, (at) => rows.#add(at));
    rows.#packer.seal();
    rows.#assembly.seal();
    rows.#order.sort();
    return rows;
  }

  #add(at: number): void {
    const slot = this.#rows.slots.item(at);
    this.#numbers[at] = this.#packer.add(slot);
    this.#order[at] = hashSlotKey(slot) * ROWS_MAX + at;
    if (this.#rows.isPartial(at)) this.#partials.push(at);
    this.#assembly.addPacked(this.#rows, at);
  }

  #assembleWithout(known: ReadonlySet<number>): Assembly {
    const assembly = new Assembly();
    for (let at = 0; at < this.#rows.count; at++) if (!known.has(at)) assembly.addPacked(this.#rows, at);
    return assembly.seal();
  }

  /** Inside the transaction. @returns the new head */
  write(schema: Schema, stream: StreamId, headOp: OpId): OpId {
    const { tableId } = this.#rows;
    const space = getTableSpace(schema, stream, tableId);
    const known = this.#addToIndex(schema, stream, space.nextGroup * GROUP_SLOTS);
    if (known.size > 0) this.#emptySlots(known);
    let group = space.nextGroup;
    for (const bytes of this.#packer.groups) {
      if (bytes.length > 0) schema.records.putSync(groupKey(stream, tableId, group), bytes);
      group++;
    }
    putTableSpace(schema, stream, tableId, { ...getTableSpace(schema, stream, tableId), nextGroup: group });
    this.#markPartials(schema, stream, { first: space.nextGroup * GROUP_SLOTS, known });
    return (known.size === 0 ? this.#assembly : this.#assembleWithout(known)).write(schema, stream, headOp);
  }

  /** @returns the rows that are there already */
  #addToIndex(schema: Schema, stream: StreamId, first: number): ReadonlySet<number> {
    const known = new Set<number>();
    const { tableId } = this.#rows;
    const stored = new Records(schema, stream, tableId);
    const isKnown = (place: number, found: readonly number[]): boolean => {
      const at = this.#rowAt(place);
      const key = this.#rows.key(at);
      if (!found.some((number) => (number < first ? stored.at(number)?.key : this.#keyOf(number - first)) === key))
        return false;
      known.add(at);
      return true;
    };
    new RecordIndex(schema, stream, tableId).insert(this.#entries(first), isKnown);
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
  #keyOf(number: number): RecordKey {
    return this.#rows.key(this.#numbers.indexOf(number));
  }

  #emptySlots(known: ReadonlySet<number>): void {
    const { groups } = this.#packer;
    const emptied = new Map<number, Map<number, Buffer>>();
    for (const at of known) {
      const number = this.#numbers[at] as number;
      const slots = emptied.get(groupOf(number)) ?? new Map<number, Buffer>();
      slots.set(slotOf(number), EMPTY_SLOT);
      emptied.set(groupOf(number), slots);
    }
    for (const [group, slots] of emptied) groups[group] = withSlots(groups[group] as Buffer, slots);
  }

  #markPartials(schema: Schema, stream: StreamId, { first, known }: Written): void {
    const { tableId } = this.#rows;
    for (const at of this.#partials) {
      if (!known.has(at)) setMarks(schema, markKey(stream, tableId, first + (this.#numbers[at] as number)), PARTIAL);
    }
  }
}

interface Written {
  /** Number of the chunk's first record. */
  readonly first: number;
  readonly known: ReadonlySet<number>;
}
