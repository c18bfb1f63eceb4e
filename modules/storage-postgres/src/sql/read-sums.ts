/**
 * Sums of buckets as of a checkpoint. A bucket has two that cost nothing: now, and before the first op behind the newest
 * checkpoint. Which of them is nearer is corrected by the runs that lie between, by their heads.
 */
import type { BucketName, OpId } from '@sluice/core';
import type { BucketSum } from '@sluice/storage';
import { byteaArray, int8Array, nameKey } from '../binary.ts';
import { storedRun } from '../op-runs.ts';
import type { Sql } from '../sql.ts';

interface Row {
  readonly ord: number;
  readonly number: number;
  readonly count: number;
  readonly checksum: number;
  readonly last_op: OpId;
  readonly settled_count: number;
  readonly settled_checksum: number;
  readonly settled_op: OpId;
  readonly unsettled_op: OpId;
}

/** A sum that is exact as of `upTo`, of which the ops in (checkpoint, upTo] are still to be taken away. */
interface Overshoot {
  readonly ord: number;
  readonly bucket: number;
  readonly upTo: OpId;
}

export async function readSums(
  sql: Sql,
  tables: { readonly buckets: string; readonly ops: string },
  checkpoint: OpId,
  buckets: readonly BucketName[],
): Promise<BucketSum[]> {
  const sums = buckets.map((bucket) => ({ bucket, checksum: 0, count: 0 }));
  const rows = await sql.rows<Row>(
    `select u.ord, b.number, b.count, b.checksum, b.last_op,
            b.settled_count, b.settled_checksum, b.settled_op, b.unsettled_op
     from unnest($1::bytea[]) with ordinality u (name, ord) join ${tables.buckets} b using (name)`,
    [byteaArray(buckets.map(nameKey))],
  );
  const overshoots: Overshoot[] = [];
  for (const row of rows) {
    const sum = sums[row.ord - 1] as (typeof sums)[number];
    const isSettled = row.last_op > checkpoint && row.unsettled_op > checkpoint;
    sum.count = isSettled ? row.settled_count : row.count;
    sum.checksum = isSettled ? row.settled_checksum : row.checksum;
    const upTo = isSettled ? row.settled_op : row.last_op;
    if (upTo > checkpoint) overshoots.push({ ord: row.ord, bucket: row.number, upTo });
  }
  for (const behind of await runsBehind(sql, tables.ops, checkpoint, overshoots)) {
    const sum = sums[behind.ord - 1] as (typeof sums)[number];
    sum.count -= behind.count;
    sum.checksum = (sum.checksum - behind.checksum) | 0;
  }
  return sums;
}

interface Behind {
  readonly ord: number;
  readonly count: number;
  readonly checksum: number;
}

async function runsBehind(
  sql: Sql,
  ops: string,
  checkpoint: OpId,
  overshoots: readonly Overshoot[],
): Promise<Behind[]> {
  if (overshoots.length === 0) return [];
  const buckets = [
    int8Array(overshoots.map(({ ord }) => ord)),
    int8Array(overshoots.map(({ bucket }) => bucket)),
    int8Array(overshoots.map(({ upTo }) => upTo)),
    checkpoint,
  ];
  const from = `unnest($1::int8[], $2::int8[], $3::int8[]) u (ord, bucket, up_to)`;
  const within = `o.bucket = u.bucket and o.last_op > $4 and o.last_op <= u.up_to`;
  const whole = sql.rows<Behind>(
    `select u.ord, s.count, s.checksum from ${from}, lateral (
       select sum(o.count)::int8 as count, sum(o.checksum)::int8 as checksum from ${ops} o
       where ${within} and o.first_op > $4) s
     where s.count is not null`,
    buckets,
  );
  // Checkpoints lie between flushes, so hardly ever inside a run: at most one of each bucket.
  const cut = sql.rows<{ ord: number; last_op: OpId; count: number; data: Buffer }>(
    `select u.ord, o.last_op, o.count, o.data from ${from}, lateral (
       select * from ${ops} o where ${within} order by o.last_op limit 1) o where o.first_op <= $4`,
    buckets,
  );
  const [wholes, cuts] = await Promise.all([whole, cut]);
  return [...wholes, ...cuts.map((row) => behindOf(row, checkpoint))];
}

function behindOf(row: { ord: number; last_op: OpId; count: number; data: Buffer }, checkpoint: OpId): Behind {
  const run = storedRun(row.data, row);
  const from = run.firstAfter(checkpoint);
  let checksum = 0;
  for (let at = from; at < run.count; at++) checksum = (checksum + run.checksum(at)) | 0;
  return { ord: row.ord, count: run.count - from, checksum };
}
