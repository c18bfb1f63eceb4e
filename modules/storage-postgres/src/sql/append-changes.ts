/**
 * The change log: one entry per flush under its last op, naming the buckets and lookups it touched. It keeps the newest
 * flushes; whoever asks further back is told "all".
 */
import type { OpId } from '@sluice/core';
import { CHANGE_LOG_FLUSHES, CHANGE_LOG_NAMES } from '../config.ts';
import type { Assembly } from '../assembly.ts';
import type { Sql, Tx } from '../sql.ts';
import type { Counters } from '../state-row.ts';

/** @returns the counters after it */
export async function appendChanges(
  sql: Tx,
  table: string,
  { buckets, lookups }: Assembly,
  at: { readonly headOp: OpId; readonly counters: Counters },
): Promise<Counters> {
  const lookupKeys = new Set(lookups.map(({ key }) => key));
  sql.send(`insert into ${table} (last_op, buckets, lookups) values ($1, $2, $3)`, [
    at.headOp,
    named([...buckets.keys()]),
    named([...lookupKeys]),
  ]);
  const counters = { ...at.counters, changes: at.counters.changes + 1 };
  return counters.changes > 2 * CHANGE_LOG_FLUSHES ? trim(sql, table, counters) : counters;
}

/** JSON, as bytes: names may hold any character. */
function named(names: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(names.length > CHANGE_LOG_NAMES ? 'all' : names));
}

/** The log grows to twice its length, then its older half goes. */
async function trim(sql: Sql, table: string, counters: Counters): Promise<Counters> {
  const [newest] = await sql.rows<{ last_op: OpId }>(
    `select last_op from ${table} order by last_op offset $1 limit 1`,
    [CHANGE_LOG_FLUSHES - 1],
  );
  if (newest === undefined) return counters;
  const dropped = await sql.run(`delete from ${table} where last_op <= $1`, [newest.last_op]);
  return { ...counters, changes: counters.changes - dropped, changesDroppedUpTo: newest.last_op };
}
