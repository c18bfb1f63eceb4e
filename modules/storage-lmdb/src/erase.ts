/** The end of a table's rows, all of them or those that a copy has not met: a bounded part at a time, in storage order. */
import type { OpId, StreamId } from '@sluice/core';
import {
  advance,
  type CheckpointState,
  type EraseRows,
  isRead,
  needsTombstones,
  type SweepResult,
  type SweepRows,
  type TableState,
  TOMBSTONE,
} from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { readSlot, type StoredRecord } from './record-groups.ts';
import { GROUP_SLOTS } from './config.ts';
import { Records, scanGroups } from './records.ts';
import type { Schema } from './schema.ts';
import { getCheckpointState, putCheckpointState } from './streams.ts';
import { getTable, listTasks, putTable } from './tables.ts';

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

/** Inside the transaction. */
export function sweepRows(schema: Schema, stream: StreamId, request: SweepRows): SweepResult {
  const table = getTable(schema, stream, request.tableId);
  const tasks = listTasks(schema, stream, request.tableId);
  if (table === undefined || !isRead(table, request.generation, tasks)) return { kind: 'discarded' };
  const state = getCheckpointState(schema, stream);
  const { headOp, next, erased } = sweep(schema, { stream, table, headOp: state.headOp }, request);
  if (next === null) putTable(schema, stream, { ...table, unconfirmed: false });
  putCheckpointState(schema, stream, advance(state, { kind: 'flushed', headOp, boundary: null }));
  return { kind: 'swept', next, erased };
}

interface Place {
  readonly stream: StreamId;
  readonly table: TableState;
  readonly headOp: OpId;
}

/** Looks at whole groups of records, so that the number of the next group says where to go on. */
function sweep(schema: Schema, { stream, table, headOp }: Place, request: SweepRows) {
  const { after, limit } = request;
  const records = new Records(schema, stream, table.id);
  const assembly = new Assembly();
  let looked = 0;
  let erased = 0;
  let next: number | null = null;
  for (const { number, slots } of scanGroups(schema, stream, table.id, typeof after === 'number' ? after : 0)) {
    if (looked > 0 && looked + slots.length > limit) {
      next = number;
      break;
    }
    looked += slots.length;
    for (const [slot, bytes] of slots.entries()) {
      if (bytes.length === 0) continue;
      const stored = readSlot(bytes, number * GROUP_SLOTS + slot);
      const effect = (stored.flags & TOMBSTONE) === 0 ? request.sweep(table, stored.key, stored.record) : null;
      if (effect === null) continue;
      assembly.add(table.id, stored.key, effect);
      records.remove(stored);
      erased++;
    }
  }
  records.write();
  return { headOp: assembly.seal().write(schema, stream, headOp), next, erased };
}
