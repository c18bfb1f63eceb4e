/**
 * The rows of one copied chunk. What they amount to is cut into stored values before the transaction, as if none of them
 * was there yet, which is nearly always so; the transaction then merges their keys into the index, and leaves out those it
 * finds there.
 */
import type { Clock, OpId, RecordKey, StreamId } from '@sluice/core';
import { inTurns, type PackedRows, PARTIAL } from '@sluice/storage';
import { Arena } from '../arena.ts';
import { GROUP_SLOTS } from '../config.ts';
import { writeEffects } from '../effects.ts';
import { groupKey, markKey } from '../keys.ts';
import { EMPTY_SLOT, groupOf, slotOf, withSlots } from '../record-groups.ts';
import type { NewEntries } from '../record-index/index-entries.ts';
import { RecordIndex } from '../record-index/record-index.ts';
import { type SortedHashes, sortedHashes } from '../record-index/sorted-hashes.ts';
import { Records, setMarks } from '../records.ts';
import type { Schema } from '../schema.ts';
import { getTableSpace } from '../tables.ts';
import { PackedEffects } from './packed-effects.ts';
import { PackedGroups } from './packed-groups.ts';

const NONE: ReadonlySet<number> = new Set();

export class SnapshotRows {
  readonly #rows: PackedRows;
  readonly #arena: Arena;
  readonly #groups: PackedGroups;
  readonly #effects: PackedEffects;
  readonly #sorted: SortedHashes;

  private constructor(rows: PackedRows, packed: { arena: Arena; groups: PackedGroups; effects: PackedEffects }) {
    this.#rows = rows;
    this.#arena = packed.arena;
    this.#groups = packed.groups;
    this.#effects = packed.effects;
    this.#sorted = sortedHashes(packed.groups.hashes);
  }

  /** To be released when it was written, or will not be. */
  static async prepare(rows: PackedRows, clock: Clock): Promise<SnapshotRows> {
    const arena = new Arena();
    const groups = new PackedGroups(rows, arena);
    await inTurns(clock, () => groups.packNext());
    const effects = new PackedEffects(rows, NONE, arena);
    await inTurns(clock, () => effects.packNext());
    return new SnapshotRows(rows, { arena, groups, effects });
  }

  release(): void {
    this.#arena.release();
  }

  /** Inside the transaction. @returns the new head */
  write(schema: Schema, stream: StreamId, headOp: OpId): OpId {
    const { tableId } = this.#rows;
    const { nextGroup } = getTableSpace(schema, stream, tableId);
    const first = nextGroup * GROUP_SLOTS;
    const known = this.#addToIndex(schema, stream, nextGroup);
    let group = nextGroup;
    for (const bytes of this.#withoutSlots(known)) {
      if (bytes.length > 0) schema.records.putSync(groupKey(stream, tableId, group), bytes);
      group++;
    }
    this.#markPartials(schema, stream, { first, known });
    return writeEffects(schema, stream, headOp, known.size === 0 ? this.#effects : this.#effectsWithout(known));
  }

  #effectsWithout(known: ReadonlySet<number>): PackedEffects {
    const effects = new PackedEffects(this.#rows, known, this.#arena);
    while (effects.packNext());
    return effects;
  }

  /** @returns the rows that are there already */
  #addToIndex(schema: Schema, stream: StreamId, group: number): ReadonlySet<number> {
    const known = new Set<number>();
    const { tableId } = this.#rows;
    const first = group * GROUP_SLOTS;
    const stored = new Records(schema, stream, tableId);
    const isKnown = (place: number, found: readonly number[]): boolean => {
      const at = this.#sorted.order[place] as number;
      const key = this.#rows.key(at);
      if (!found.some((number) => (number < first ? stored.at(number)?.key : this.#keyOf(number - first)) === key))
        return false;
      known.add(at);
      return true;
    };
    const nextGroup = group + this.#groups.groups.length;
    new RecordIndex(schema, stream, tableId).insert({ entries: this.#entries(first), nextGroup, isKnown });
    return known;
  }

  #entries(first: number): NewEntries {
    const { hashes, order } = this.#sorted;
    const numbers = new Float64Array(order.length);
    for (let place = 0; place < order.length; place++) {
      numbers[place] = first + (this.#groups.numbers[order[place] as number] as number);
    }
    return { hashes, numbers };
  }

  /** Asked only when two keys of one chunk have one hash. */
  #keyOf(number: number): RecordKey {
    return this.#rows.key(this.#groups.numbers.indexOf(number));
  }

  #withoutSlots(known: ReadonlySet<number>): readonly Buffer[] {
    const { groups, numbers } = this.#groups;
    if (known.size === 0) return groups;
    const emptied = new Map<number, Map<number, Buffer>>();
    for (const at of known) {
      const number = numbers[at] as number;
      const slots = emptied.get(groupOf(number)) ?? new Map<number, Buffer>();
      slots.set(slotOf(number), EMPTY_SLOT);
      emptied.set(groupOf(number), slots);
    }
    return groups.map((bytes, group) => {
      const slots = emptied.get(group);
      return slots === undefined ? bytes : withSlots(bytes, slots);
    });
  }

  #markPartials(schema: Schema, stream: StreamId, { first, known }: Written): void {
    const { numbers, partials } = this.#groups;
    for (const at of partials) {
      if (known.has(at)) continue;
      setMarks(schema, markKey(stream, this.#rows.tableId, first + (numbers[at] as number)), PARTIAL);
    }
  }
}

interface Written {
  /** Number of the chunk's first record. */
  readonly first: number;
  readonly known: ReadonlySet<number>;
}
