/**
 * The source records of one table, as one flush sees and changes them. Reads groups on demand and keeps them; nothing
 * is written before `write`, which belongs into the flush's transaction.
 */
import { invariant, type RecordKey, type StreamId, type TableId } from '@sluice/core';
import { itemOf, packSlot, PARTIAL, TOMBSTONE } from '@sluice/storage';
import { GROUP_SLOTS } from './config.ts';
import { afterPrefix, groupKey, hashKey, markKey } from './keys.ts';
import {
  EMPTY_SLOT,
  groupOf,
  GroupPacker,
  readSlot,
  slotIn,
  slotOf,
  type StoredRecord,
  unpackGroup,
  withSlots,
} from './record-groups.ts';
import type { Entry } from './record-index/index-entries.ts';
import { RecordIndex } from './record-index/record-index.ts';
import type { Schema } from './schema.ts';
import { getTableSpace } from './tables.ts';

interface Group {
  readonly bytes: Buffer;
  readonly changed: Map<number, Buffer>;
}

/** A group that is not there. */
const NO_SLOTS = Buffer.from([0]);

interface Added {
  readonly hash: number;
  /** Counted from the first new group. */
  readonly number: number;
  readonly flags: number;
}

export class Records {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #table: TableId;
  readonly #index: RecordIndex;
  readonly #groups = new Map<number, Group>();
  readonly #packer = new GroupPacker();
  readonly #added: Added[] = [];
  readonly #removed: Entry[] = [];
  readonly #marks: { readonly number: number; readonly flags: number }[] = [];

  constructor(schema: Schema, stream: StreamId, table: TableId) {
    this.#schema = schema;
    this.#stream = stream;
    this.#table = table;
    this.#index = new RecordIndex(schema, stream, table);
  }

  /** The stored record or tombstone of a key; changes made here are not looked at. */
  find(key: RecordKey): StoredRecord | null {
    for (const number of this.#index.find(hashKey(key))) {
      const found = this.at(number);
      if (found?.key === key) return found;
    }
    return null;
  }

  at(number: number): StoredRecord | null {
    const group = this.#group(groupOf(number));
    const slot = group.changed.get(slotOf(number)) ?? slotIn(group.bytes, slotOf(number));
    return slot.length === 0 ? null : readSlot(slot, number);
  }

  add(key: RecordKey, flags: number, record: Uint8Array): void {
    this.#added.push({ hash: hashKey(key), number: this.#packer.add(itemOf(packSlot(key, flags, record))), flags });
  }

  replace(old: StoredRecord, flags: number, record: Uint8Array): void {
    this.#setSlot(old.number, packSlot(old.key, flags, record));
    if (flags !== old.flags) this.#marks.push({ number: old.number, flags });
  }

  remove(old: StoredRecord): void {
    this.#setSlot(old.number, EMPTY_SLOT);
    this.#removed.push({ hash: hashKey(old.key), number: old.number });
    if (old.flags !== 0) this.#marks.push({ number: old.number, flags: 0 });
  }

  write(): void {
    for (const [number, group] of this.#groups) if (group.changed.size > 0) this.#writeGroup(number, group);
    this.#index.remove(this.#removed);
    this.#writeAdded();
    for (const { number, flags } of this.#marks) setMarks(this.#schema, this.#markKey(number), flags);
  }

  #writeGroup(number: number, { bytes, changed }: Group): void {
    const key = groupKey(this.#stream, this.#table, number);
    const packed = withSlots(bytes, changed);
    if (packed.length === 0) this.#schema.records.removeSync(key);
    else this.#schema.records.putSync(key, packed);
  }

  #writeAdded(): void {
    if (this.#added.length === 0) return;
    this.#packer.seal();
    const space = getTableSpace(this.#schema, this.#stream, this.#table);
    const first = space.nextGroup * GROUP_SLOTS;
    let group = space.nextGroup;
    for (const bytes of this.#packer.groups) {
      this.#schema.records.putSync(groupKey(this.#stream, this.#table, group++), bytes);
    }
    const sorted = this.#added.sort((a, b) => a.hash - b.hash);
    const hashes = Uint32Array.from(sorted, ({ hash }) => hash);
    const numbers = Float64Array.from(sorted, ({ number }) => first + number);
    // The keys were looked for before: an entry with the same hash is another key's.
    this.#index.insert({ entries: { hashes, numbers }, nextGroup: group, isKnown: null });
    for (const { number, flags } of sorted) if (flags !== 0) this.#marks.push({ number: first + number, flags });
  }

  #markKey(number: number): Buffer {
    return markKey(this.#stream, this.#table, number);
  }

  #group(number: number): Group {
    const known = this.#groups.get(number);
    if (known !== undefined) return known;
    const bytes = this.#schema.records.get(groupKey(this.#stream, this.#table, number));
    const group: Group = { bytes: bytes ?? NO_SLOTS, changed: new Map() };
    this.#groups.set(number, group);
    return group;
  }

  #setSlot(number: number, slot: Buffer): void {
    const group = this.#group(groupOf(number));
    invariant(group.bytes !== NO_SLOTS, 'records: a record without its group');
    group.changed.set(slotOf(number), slot);
  }
}

/** Keeps the lists of tombstones and of partial records in step with a record's flags. */
export function setMarks(schema: Schema, key: Buffer, flags: number): void {
  setMark(schema.tombstones, key, (flags & TOMBSTONE) !== 0);
  setMark(schema.partials, key, (flags & PARTIAL) !== 0);
}

const MARK = Buffer.from([1]);

function setMark(store: Schema['partials'], key: Buffer, isSet: boolean): void {
  if (isSet) store.putSync(key, MARK);
  else store.removeSync(key);
}

export interface StoredGroup {
  readonly number: number;
  readonly slots: readonly Buffer[];
}

/** The groups of a table from one on, in storage order. */
export function* scanGroups(schema: Schema, stream: StreamId, table: TableId, from = 0): Generator<StoredGroup> {
  const start = Buffer.from(groupKey(stream, table, from));
  for (const { key, value } of schema.records.getRange({ start, end: afterPrefix(start.subarray(0, 8)) })) {
    yield { number: key.readUInt32BE(8), slots: unpackGroup(value) };
  }
}
