/** What is done to the records of a whole table, inside a transaction. */
import type { StreamId, TableId } from '@sluice/core';
import { needsTombstones, type TableState, TOMBSTONE } from '@sluice/storage';
import { afterPrefix, getU64, groupKey, markKey } from './keys.ts';
import { Records, scanGroups } from './records.ts';
import type { Schema, Store } from './schema.ts';
import { getCheckpointState } from './streams.ts';
import { listTables } from './tables.ts';

export function hasLiveRecords(schema: Schema, stream: StreamId, table: TableId): boolean {
  for (const { slots } of scanGroups(schema, stream, table)) {
    if (slots.some((slot) => slot.length > 0 && ((slot[0] as number) & TOMBSTONE) === 0)) return true;
  }
  return false;
}

/** Removes everything that is kept of a table's rows. */
export function removeRecords(schema: Schema, stream: StreamId, table: TableId): void {
  const prefix = Buffer.from(groupKey(stream, table, 0)).subarray(0, 8);
  const { records, index, indexJournal, partials, tombstones } = schema;
  for (const store of [records, index, indexJournal, partials, tombstones]) removePrefix(store, prefix);
}

export function removePrefix(store: Store, prefix: Buffer): void {
  while (removeSome(store, prefix, 10_000) > 0);
}

/** @returns how many were removed */
export function removeSome(store: Store, prefix: Buffer, limit: number): number {
  const keys = [...store.getKeys({ start: prefix, end: afterPrefix(prefix), limit })];
  for (const key of keys) store.removeSync(key);
  return keys.length;
}

/** Drops up to `limit` tombstones of tables that need none any more. */
export function purgeTombstones(schema: Schema, stream: StreamId, limit: number): { readonly remaining: boolean } {
  const { checkpoint } = getCheckpointState(schema, stream);
  const tables = listTables(schema, stream).filter((table) => !needsTombstones(table, checkpoint));
  return dropTombstones(schema, { stream, tables }, limit);
}

/** Drops up to `limit` tombstones of the tables. */
export function dropTombstones(
  schema: Schema,
  { stream, tables }: { readonly stream: StreamId; readonly tables: readonly TableState[] },
  limit: number,
): { readonly remaining: boolean } {
  let left = limit;
  let remaining = false;
  for (const table of tables) {
    const records = new Records(schema, stream, table.id);
    const start = Buffer.from(markKey(stream, table.id, 0));
    const end = afterPrefix(start.subarray(0, 8));
    // Read to the end first: the loop writes into what it would be reading.
    const keys = [...schema.tombstones.getKeys({ start, end, limit: left + 1 })];
    for (const key of keys) {
      if (left === 0) {
        remaining = true;
        break;
      }
      left--;
      const number = getU64(key, 8);
      const stored = records.at(number);
      if (stored === null) schema.tombstones.removeSync(key);
      else records.remove(stored);
    }
    records.write();
  }
  return { remaining };
}
