/** What the flushes in (after, upTo] touched. Both bounds are ends of flushes, because checkpoints are. */
import type { OpId, StreamId } from '@sluice/core';
import type { Changes } from '@sluice/storage';
import type { Names } from '../names.ts';
import type { Sql } from '../sql.ts';
import type { Counters } from '../state-row.ts';

interface Row {
  readonly counters: string;
  readonly buckets: Buffer | null;
  readonly lookups: Buffer | null;
}

export async function readChanges(
  sql: Sql,
  names: Names,
  stream: StreamId,
  range: { readonly after: OpId; readonly upTo: OpId },
): Promise<Changes> {
  const buckets = new Set<string>();
  const lookups = new Set<string>();
  if (range.after >= range.upTo) return { buckets, lookups };
  // One statement, so that the log is not trimmed between the look at how far back it goes and its reading. A bound
  // inside a flush takes the whole flush.
  const rows = await sql.rows<Row>(
    `select s.counters, c.buckets, c.lookups from ${names.states} s left join lateral (
       select * from ${names.of(stream).changes} where last_op > $2 and last_op <= coalesce(
         (select min(last_op) from ${names.of(stream).changes} where last_op >= $3), $3)) c on true
     where s.id = $1`,
    [stream, range.after, range.upTo],
  );
  let allBuckets = false;
  let allLookups = false;
  for (const row of rows) {
    if (range.after < (JSON.parse(row.counters) as Counters).changesDroppedUpTo) {
      return { buckets: 'all', lookups: 'all' };
    }
    allBuckets = !addAll(buckets, row.buckets) || allBuckets;
    allLookups = !addAll(lookups, row.lookups) || allLookups;
  }
  return { buckets: allBuckets ? 'all' : buckets, lookups: allLookups ? 'all' : lookups };
}

/** @returns false if there were too many to be named */
function addAll(names: Set<string>, stored: Buffer | null): boolean {
  if (stored === null) return true;
  const named = JSON.parse(stored.toString()) as readonly string[] | 'all';
  if (named === 'all') return false;
  for (const name of named) names.add(name);
  return true;
}
