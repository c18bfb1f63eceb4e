/** What a lost history asks of storage, inside transactions: tables to be confirmed, and the end of what was not met. */
import type { OpId, StreamId } from '@sluice/core';
import {
  advance,
  historyLost,
  isRead,
  type JsonValue,
  type SweepResult,
  type SweepRows,
  type TableState,
} from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { GROUP_SLOTS } from './config.ts';
import { readSlot, TOMBSTONE } from './record-groups.ts';
import { Records, scanGroups } from './records.ts';
import type { Schema } from './schema.ts';
import { getCheckpointState, putCheckpointState, putStream, requireStream } from './streams.ts';
import { getTable, listTables, listTasks, putTable, removeTasks } from './tables.ts';

export function beginHistory(schema: Schema, stream: StreamId, source: JsonValue): void {
  for (const table of listTables(schema, stream)) {
    putTable(schema, stream, historyLost(table));
    removeTasks(schema, stream, table.id);
  }
  const state = getCheckpointState(schema, stream);
  putCheckpointState(schema, stream, advance(state, { kind: 'tableSnapshotRequired' }));
  putStream(schema, { ...requireStream(schema, stream), source });
}

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
