/** What transactions do to the records of a whole table, a bounded part at a time, in the order of their keys. */
import type { RecordKey, TableId } from '@sluice/core';
import {
  advance,
  type Effect,
  type EraseRows,
  isRead,
  needsTombstones,
  notCopied,
  type PublishedRows,
  type PublishRows,
  rowsPublished,
  type SweepResult,
  type SweepRows,
  type TableState,
} from '@sluice/storage';
import { append, type Appended } from './append.ts';
import { Assembly } from './assembly.ts';
import type { Done } from './fencing/session.ts';
import { bucketNumbers } from './sql/append-ops.ts';
import { deleteRecords, LIVE, PARTIAL, putRecords, type RecordPut, someRecords, TOMBSTONE } from './sql/records.ts';
import type { Within } from './table-work.ts';

const NOTHING = new Uint8Array(0);

export async function eraseRows(
  within: Within,
  { tableId, boundary, limit, erase }: EraseRows,
): Promise<Done<{ readonly remaining: boolean; readonly erased: number }>> {
  const { sql, own, row, tables } = within;
  const before = await tables.require(tableId);
  const table: TableState = { ...before, truncateEpoch: before.truncateEpoch + 1 };
  tables.put(table);
  const found = await someRecords(sql, own.records, { tableId, which: 'live', limit: limit + 1 });
  const erased = found.slice(0, limit);
  const assembly = new Assembly();
  for (const { key, record } of erased) assembly.add(tableId, key, erase(table, key, record));
  if (needsTombstones(table, row.state.checkpoint)) {
    const puts = erased.map(({ key }) => ({ key, flags: TOMBSTONE, record: NOTHING }));
    putRecords(sql, own.records, tableId, puts);
  } else {
    deleteRecords(sql, own.records, { tableId, keys: erased.map(({ key }) => key) });
  }
  const { headOp, counters } = await appendAll(within, assembly);
  const state = advance(row.state, { kind: 'flushed', headOp, boundary });
  return { value: { erased: erased.length, remaining: found.length > erased.length }, next: { state, counters } };
}

export async function publishRows(
  within: Within,
  { tableId, after, limit, publish }: PublishRows,
): Promise<Done<PublishedRows>> {
  const { row, tables } = within;
  const table = await tables.require(tableId);
  if (table.visibility === 'shown') return { value: { next: null, ops: 0 } };
  const { endPosition: position } = table;
  if (position === null) throw notCopied(table);
  const part = await rewriteRows(within, {
    tableId,
    table: (remaining) => rowsPublished(table, remaining),
    after,
    limit,
    effectOf: publish,
  });
  const { headOp, counters, next } = part;
  const remaining = next !== null;
  tables.put(rowsPublished(table, remaining));
  const state = advance(row.state, { kind: 'stagedPublished', headOp, position, remaining });
  return { value: { next, ops: headOp - row.state.headOp }, next: { state, counters } };
}

export async function sweepRows(
  within: Within,
  { tableId, generation, after, limit, sweep }: SweepRows,
): Promise<Done<SweepResult>> {
  const { row, tables } = within;
  const table = await tables.get(tableId);
  if (table === undefined || !isRead(table, generation, await tables.tasksOf(tableId))) {
    return { value: { kind: 'discarded' } };
  }
  const part = await rewriteRows(within, { tableId, table: () => table, after, limit, effectOf: sweep });
  const { headOp, counters, next, rewritten } = part;
  if (next === null) tables.put({ ...table, unconfirmed: false });
  const state = advance(row.state, { kind: 'flushed', headOp, boundary: null });
  return { value: { kind: 'swept', next, erased: rewritten }, next: { state, counters } };
}

interface Part {
  readonly tableId: TableId;
  /** As it is for this part, which may be the last. */
  readonly table: (remaining: boolean) => TableState;
  /** Where the part before this one ended: a record key. */
  readonly after: unknown;
  readonly limit: number;
  /** Null leaves the record as it is. */
  readonly effectOf: (table: TableState, key: RecordKey, record: Uint8Array) => Effect | null;
}

interface RewrittenPart extends Appended {
  /** Where to go on; null if all records have been looked at. */
  readonly next: RecordKey | null;
  readonly rewritten: number;
}

/** Live records get what their effect says, or end without a tombstone. */
async function rewriteRows(within: Within, part: Part): Promise<RewrittenPart> {
  const { sql, own } = within;
  const { tableId, limit, effectOf } = part;
  const after = typeof part.after === 'string' ? part.after : undefined;
  const found = await someRecords(sql, own.records, { tableId, which: 'live', limit: limit + 1, after });
  const remaining = found.length > limit;
  const looked = found.slice(0, limit);
  const table = part.table(remaining);
  const assembly = new Assembly();
  const puts: RecordPut[] = [];
  const deletes: RecordKey[] = [];
  for (const { key, record } of looked) {
    const effect = effectOf(table, key, record);
    if (effect === null) continue;
    assembly.add(tableId, key, effect);
    if (effect.record === null) deletes.push(key);
    else puts.push({ key, flags: effect.partial ? PARTIAL : LIVE, record: effect.record });
  }
  putRecords(sql, own.records, tableId, puts);
  deleteRecords(sql, own.records, { tableId, keys: deletes });
  const appended = await appendAll(within, assembly);
  const next = remaining ? (looked.at(-1)?.key ?? null) : null;
  return { ...appended, next, rewritten: puts.length + deletes.length };
}

async function appendAll({ sql, own, row }: Within, assembly: Assembly): Promise<Appended> {
  const numbers = await bucketNumbers(sql, own.buckets, assembly.buckets.keys());
  return append(sql, own, row, { assembly: assembly.seal(), numbers });
}

/** Drops up to `limit` tombstones of some tables. */
export async function dropTombstones(
  { sql, own, row, tables }: Within,
  ofTable: (table: TableState) => boolean,
  limit: number,
): Promise<Done<{ readonly remaining: boolean }>> {
  let left = limit;
  let remaining = false;
  for (const table of (await tables.list()).filter(ofTable)) {
    const found = await someRecords(sql, own.records, { tableId: table.id, which: 'tombstone', limit: left + 1 });
    const dropped = found.slice(0, left).map(({ key }) => key);
    deleteRecords(sql, own.records, { tableId: table.id, keys: dropped });
    left -= dropped.length;
    remaining = found.length > dropped.length;
    if (remaining) break;
  }
  return left === limit ? { value: { remaining } } : { value: { remaining }, next: row };
}
