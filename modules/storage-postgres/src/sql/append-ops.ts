/** Puts a flush's ops behind those of their buckets, and keeps the buckets' sums. */
import type { BucketName, OpId } from '@sluice/core';
import type { Assembly } from '../assembly.ts';
import { byteaArray, int4Array, int8Array, nameKey } from '../binary.ts';
import { CopyRows } from '../copy-in.ts';
import type { BucketRuns, PackedRun } from '../op-runs.ts';
import type { Sql, Tx } from '../sql.ts';

/** Wraps as signed 32-bit numbers do. */
const WRAPPED = (sum: string) => `((((${sum}) + 2147483648) & 4294967295) - 2147483648)::int4`;

export interface Appending {
  /** The first op id that is free. */
  readonly first: OpId;
  /** What readers may see at present: sums up to there are settled. */
  readonly checkpoint: OpId;
  /** Of the buckets that were there before. */
  readonly numbers: BucketNumbers;
}

/** A bucket's number is its key in `ops`, and never changes. */
export type BucketNumbers = ReadonlyMap<BucketName, number>;

/** Those of the buckets that are there already. Under the stream's lock. */
export async function bucketNumbers(sql: Sql, table: string, names: Iterable<BucketName>): Promise<BucketNumbers> {
  const asked = [...names];
  if (asked.length === 0) return new Map();
  const rows = await sql.rows<{ ord: number; number: number }>(
    `select u.ord, b.number from unnest($1::bytea[]) with ordinality u (name, ord) join ${table} b using (name)`,
    [byteaArray(asked.map(nameKey))],
  );
  return new Map(rows.map(({ ord, number }) => [asked[ord - 1] as BucketName, number]));
}

/** Of one row of `ops`, without its data. */
const COLUMNS = 6;
const NUMBER_BYTES = 3 * 8 + 2 * 4;

export function appendOps(
  sql: Tx,
  tables: { readonly buckets: string; readonly ops: string },
  { buckets }: Assembly,
  at: Appending,
): void {
  if (buckets.size === 0) return;
  const touched = [...buckets].map(([name, { runs }]) => ({ key: nameKey(name), runs }));
  addToBuckets(sql, tables.buckets, touched, at);
  const rows = new CopyRows();
  for (const [name, { runs }] of buckets) {
    const number = at.numbers.get(name) ?? at.first + (runs[0] as PackedRun).firstOrdinal;
    for (const { lastOrdinal, firstOrdinal, count, checksum, data } of runs) {
      rows.row(COLUMNS, NUMBER_BYTES + data.length);
      rows.int8(number);
      rows.int8(at.first + lastOrdinal);
      rows.int8(at.first + firstOrdinal);
      rows.int4(count);
      rows.int4(checksum);
      rows.bytes(data);
    }
  }
  sql.copy(
    `copy ${tables.ops} (bucket, last_op, first_op, count, checksum, data) from stdin (format binary)`,
    rows.seal(),
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
