/**
 * The source records of one stream, as one flush sees and changes them. Reads groups on demand and keeps them; nothing
 * is written before `write`, which belongs into the flush's transaction.
 */
import { invariant, type RecordKey, type StreamId, type TableId } from '@sluice/core';
import { afterPrefix, groupKey, hashKey, indexKey, type KeyHash, markKey } from './keys.ts';
import {
  emptySlot,
  fitsGroup,
  groupOf,
  packGroup,
  packSlot,
  PARTIAL,
  readSlot,
  slotOf,
  type StoredRecord,
  TOMBSTONE,
  unpackGroup,
} from './record-groups.ts';
import { GROUP_SLOTS } from './config.ts';
import { addToIndex, removeFromIndex, readIndex } from './record-index.ts';
import type { Schema } from './schema.ts';
import { nextGroup, setNextGroup } from './tables.ts';

interface Group {
  readonly table: TableId;
  readonly number: number;
  slots: Buffer[];
  dirty: boolean;
}

interface OpenGroup {
  readonly group: Group;
  bytes: number;
}

const hash: KeyHash = { high: 0, low: 0 };

export class Records {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #groups = new Map<TableId, Map<number, Group>>();
  readonly #open = new Map<TableId, OpenGroup>();
  readonly #nextGroups = new Map<TableId, number>();
  readonly #added: { readonly table: TableId; readonly key: RecordKey; readonly number: number }[] = [];
  readonly #removed: { readonly table: TableId; readonly key: RecordKey; readonly number: number }[] = [];
  readonly #marks: { readonly table: TableId; readonly number: number; readonly flags: number }[] = [];

  constructor(schema: Schema, stream: StreamId) {
    this.#schema = schema;
    this.#stream = stream;
  }

  /** The stored record or tombstone of a key; changes made here are not looked at. */
  find(table: TableId, key: RecordKey): StoredRecord | null {
    hashKey(key, hash);
    for (const number of readIndex(this.#schema, indexKey(this.#stream, table, hash.high, hash.low))) {
      const found = this.at(table, number);
      if (found !== null && found.key === key) return found;
    }
    return null;
  }

  at(table: TableId, number: number): StoredRecord | null {
    const slot = this.#group(table, groupOf(number)).slots[slotOf(number)];
    return slot === undefined || slot.length === 0 ? null : readSlot(slot, number);
  }

  add(table: TableId, key: RecordKey, flags: number, record: Uint8Array): void {
    const slot = packSlot(key, flags, record);
    let open = this.#open.get(table);
    if (open === undefined || !fitsGroup(open.group.slots.length, open.bytes, slot.length)) {
      open = { group: this.#newGroup(table), bytes: 0 };
      this.#open.set(table, open);
    }
    const number = open.group.number * GROUP_SLOTS + open.group.slots.length;
    open.group.slots.push(slot);
    open.bytes += slot.length;
    this.#added.push({ table, key, number });
    if (flags !== 0) this.#marks.push({ table, number, flags });
  }

  replace(table: TableId, old: StoredRecord, flags: number, record: Uint8Array): void {
    this.#setSlot(table, old.number, packSlot(old.key, flags, record));
    if (flags !== old.flags) this.#marks.push({ table, number: old.number, flags });
  }

  remove(table: TableId, old: StoredRecord): void {
    this.#setSlot(table, old.number, emptySlot());
    this.#removed.push({ table, key: old.key, number: old.number });
    if (old.flags !== 0) this.#marks.push({ table, number: old.number, flags: 0 });
  }

  write(): void {
    this.#writeGroups();
    for (const { table, key, number } of this.#removed)
      removeFromIndex(this.#schema, this.#indexKey(table, key), number);
    for (const { table, key, number } of this.#added) addToIndex(this.#schema, this.#indexKey(table, key), number);
    for (const { table, number, flags } of this.#marks)
      setMarks(this.#schema, markKey(this.#stream, table, number), flags);
    for (const [table, next] of this.#nextGroups) setNextGroup(this.#schema, this.#stream, table, next);
  }

  #indexKey(table: TableId, key: RecordKey): Buffer {
    hashKey(key, hash);
    return indexKey(this.#stream, table, hash.high, hash.low);
  }

  #writeGroups(): void {
    const { records } = this.#schema;
    for (const groups of this.#groups.values()) {
      for (const group of groups.values()) {
        if (!group.dirty) continue;
        const key = groupKey(this.#stream, group.table, group.number);
        if (group.slots.every((slot) => slot.length === 0)) records.removeSync(key);
        else records.putSync(key, packGroup(group.slots));
      }
    }
  }

  #group(table: TableId, number: number): Group {
    const groups = this.#groupsOf(table);
    const known = groups.get(number);
    if (known !== undefined) return known;
    const bytes = this.#schema.records.get(groupKey(this.#stream, table, number));
    const group: Group = { table, number, slots: bytes === undefined ? [] : unpackGroup(bytes), dirty: false };
    groups.set(number, group);
    return group;
  }

  #groupsOf(table: TableId): Map<number, Group> {
    let groups = this.#groups.get(table);
    if (groups === undefined) this.#groups.set(table, (groups = new Map()));
    return groups;
  }

  #newGroup(table: TableId): Group {
    const number = this.#nextGroups.get(table) ?? nextGroup(this.#schema, this.#stream, table);
    this.#nextGroups.set(table, number + 1);
    const group: Group = { table, number, slots: [], dirty: true };
    this.#groupsOf(table).set(number, group);
    return group;
  }

  #setSlot(table: TableId, number: number, slot: Buffer): void {
    const group = this.#group(table, groupOf(number));
    invariant(slotOf(number) < group.slots.length, 'records: a record stands behind its group');
    group.slots[slotOf(number)] = slot;
    group.dirty = true;
  }
}

/** Keeps the lists of tombstones and of partial records in step with a record's flags. */
export function setMarks(schema: Schema, key: Buffer, flags: number): void {
  for (const [store, flag] of [
    [schema.tombstones, TOMBSTONE],
    [schema.partials, PARTIAL],
  ] as const) {
    if ((flags & flag) !== 0) store.putSync(key, MARK);
    else store.removeSync(key);
  }
}

const MARK = Buffer.from([1]);

/** Live and dead records of a table in storage order, from the group with number `from` on. */
export function* scanGroups(
  schema: Schema,
  stream: StreamId,
  table: TableId,
): Generator<{ readonly number: number; readonly slots: readonly Buffer[] }> {
  const start = Buffer.from(groupKey(stream, table, 0));
  for (const { key, value } of schema.records.getRange({ start, end: afterPrefix(start.subarray(0, 8)) })) {
    yield { number: key.readUInt32BE(8), slots: unpackGroup(value) };
  }
}
