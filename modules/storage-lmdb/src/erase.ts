/** The end of a table's rows, a bounded part at a time, in storage order. */
import type { OpId, StreamId } from '@sluice/core';
import { type CheckpointState, type EraseRows, needsTombstones, type TableState } from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { readSlot, type StoredRecord, TOMBSTONE } from './record-groups.ts';
import { GROUP_SLOTS } from './config.ts';
import { Records, scanGroups } from './records.ts';
import type { Schema } from './schema.ts';

export interface Erased {
  readonly headOp: OpId;
  readonly erased: number;
  readonly remaining: boolean;
}

const NOTHING = new Uint8Array(0);

/** Inside the transaction. */
export function eraseRows(
  schema: Schema,
  at: { readonly stream: StreamId; readonly table: TableState; readonly state: CheckpointState },
  { limit, erase }: EraseRows,
): Erased {
  const { stream, table, state } = at;
  const found = liveRecords(schema, stream, { table: table.id, limit: limit + 1 });
  const erased = found.slice(0, limit);
  const tombstones = needsTombstones(table, state.checkpoint);
  const records = new Records(schema, stream, table.id);
  const assembly = new Assembly();
  for (const stored of erased) {
    assembly.add(table.id, stored.key, erase(table, stored.key, stored.record));
    if (tombstones) records.replace(stored, TOMBSTONE, NOTHING);
    else records.remove(stored);
  }
  records.write();
  const headOp = assembly.seal().write(schema, stream, state.headOp);
  return { headOp, erased: erased.length, remaining: found.length > erased.length };
}

function liveRecords(schema: Schema, stream: StreamId, of: { table: number; limit: number }): StoredRecord[] {
  const found: StoredRecord[] = [];
  for (const { number, slots } of scanGroups(schema, stream, of.table)) {
    for (const [slot, bytes] of slots.entries()) {
      if (bytes.length === 0) continue;
      const record = readSlot(bytes, number * GROUP_SLOTS + slot);
      if ((record.flags & TOMBSTONE) === 0) found.push(record);
      if (found.length === of.limit) return found;
    }
  }
  return found;
}
