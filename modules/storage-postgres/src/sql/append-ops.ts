/** Puts a flush's ops behind those of their buckets, and keeps the buckets' sums. */
import type { OpId } from '@sluice/core';
import type { Assembly } from '../assembly.ts';
import { byteaArray, int4Array, int8Array, nameKey } from '../binary.ts';
import type { BucketRuns, PackedRun } from '../op-runs.ts';
import type { Tx } from '../sql.ts';

/** Wraps as signed 32-bit numbers do. */
const WRAPPED = (sum: string) => `((((${sum}) + 2147483648) & 4294967295) - 2147483648)::int4`;

export interface Appending {
  /** The first op id that is free. */
  readonly first: OpId;
  /** What readers may see at present: sums up to there are settled. */
  readonly checkpoint: OpId;
}

export function appendOps(
  sql: Tx,
  tables: { readonly buckets: string; readonly ops: string },
  { buckets }: Assembly,
  at: Appending,
): void {
  if (buckets.size === 0) return;
  const touched = [...buckets].map(([name, { runs }]) => ({ key: nameKey(name), runs }));
  addToBuckets(sql, tables.buckets, touched, at);
  const rows = touched.flatMap(({ key, runs }) => runs.map((run) => ({ key, run })));
  sql.send(
    `insert into ${tables.ops} (bucket, last_op, first_op, count, checksum, data)
     select (select number from ${tables.buckets} b where b.name = u.name), last_op, first_op, count, checksum, data
     from unnest($1::bytea[], $2::int8[], $3::int8[], $4::int4[], $5::int4[], $6::bytea[])
       as u (name, last_op, first_op, count, checksum, data)`,
    [
      byteaArray(rows.map(({ key }) => key)),
      int8Array(rows.map(({ run }) => at.first + run.lastOrdinal)),
      int8Array(rows.map(({ run }) => at.first + run.firstOrdinal)),
      int4Array(rows.map(({ run }) => run.count)),
      int4Array(rows.map(({ run }) => run.checksum)),
      byteaArray(rows.map(({ run }) => run.data)),
    ],
  );
}

/**
 * A new bucket's number is the id of its first op, which no other bucket has. The sums of a bucket that gets its first op
 * behind the checkpoint are kept as they were: they are what readers at that checkpoint ask for.
 */
function addToBuckets(
  sql: Tx,
  table: string,
  touched: readonly { readonly key: Buffer; readonly runs: BucketRuns['runs'] }[],
  at: Appending,
): void {
  const settled = (kept: string, now: string) => `case when b.last_op <= $6 then ${now} else b.${kept} end`;
  sql.send(
    `insert into ${table} as b
       (name, number, last_op, count, checksum, settled_count, settled_op, unsettled_op, settled_checksum)
     select name, first_op, last_op, count, checksum, 0, 0, first_op, 0
     from unnest($1::bytea[], $2::int8[], $3::int8[], $4::int8[], $5::int4[])
       as u (name, first_op, last_op, count, checksum)
     on conflict (name) do update set
       count = b.count + excluded.count,
       checksum = ${WRAPPED('b.checksum::int8 + excluded.checksum')},
       last_op = excluded.last_op,
       settled_count = ${settled('settled_count', 'b.count')},
       settled_checksum = ${settled('settled_checksum', 'b.checksum')},
       settled_op = ${settled('settled_op', 'b.last_op')},
       unsettled_op = ${settled('unsettled_op', 'excluded.number')}`,
    [
      byteaArray(touched.map(({ key }) => key)),
      int8Array(touched.map(({ runs }) => at.first + (runs[0] as PackedRun).firstOrdinal)),
      int8Array(touched.map(({ runs }) => at.first + (runs.at(-1) as PackedRun).lastOrdinal)),
      int8Array(touched.map(({ runs }) => runs.reduce((sum, run) => sum + run.count, 0))),
      int4Array(touched.map(({ runs }) => runs.reduce((sum, run) => (sum + run.checksum) | 0, 0))),
      at.checkpoint,
    ],
  );
}
