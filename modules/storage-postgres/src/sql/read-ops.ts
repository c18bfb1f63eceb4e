/** Ops of buckets in order, run by run, no more of them than about what is asked for. */
import type { OpId } from '@sluice/core';
import { type BucketChunk, type BucketRequest, OpTaking, type ReadLimits, ReadRoom } from '@sluice/storage';
import { byteaArray, int8Array, nameKey } from '../binary.ts';
import { OP_RUN_BYTES, RUN_BYTES_AT_ONCE } from '../config.ts';
import { storedRun } from '../op-runs.ts';
import type { Sql } from '../sql.ts';

/** Runs of one fetch: a page of them at first, more when they turn out to be small. */
const RUNS_MIN = 160;
const RUNS_MAX = 1_000;
/** Each run of a fetch may have its share of it, be they all as large as that. */
const FETCH_BYTES_MAX = RUNS_MIN * RUN_BYTES_AT_ONCE;
/** Buckets whose first runs are fetched together, until it is known how many they have. */
const BUCKETS_AT_FIRST = 32;

interface Wanted {
  readonly request: BucketRequest;
  readonly number: number;
  readonly lastOp: OpId;
}

interface RunRow {
  readonly ord: number;
  readonly bucket: number;
  readonly first_op: OpId;
  readonly last_op: OpId;
  readonly count: number;
  /** Null if it is too large to be fetched unasked. */
  readonly data: Buffer | null;
}

export interface OpTables {
  readonly buckets: string;
  readonly ops: string;
}

export async function readOps(
  sql: Sql,
  tables: OpTables,
  checkpoint: OpId,
  requests: readonly BucketRequest[],
  limits: ReadLimits,
): Promise<BucketChunk[]> {
  const room = new ReadRoom(limits);
  const chunks: BucketChunk[] = [];
  const wanted = await findBuckets(sql, tables.buckets, checkpoint, requests);
  const pace = new Pace();
  for (let from = 0; from < wanted.length && !room.isFull; ) {
    const fetch = pace.fetch(wanted.slice(from));
    from += fetch.of.length;
    const first = await fetchRuns(sql, tables.ops, checkpoint, fetch);
    pace.learn(fetch, first);
    for (const [index, bucket] of fetch.of.entries()) {
      if (room.isFull) return chunks;
      const taking = new RowTaking(bucket.request, checkpoint, room);
      let runs = first.get(index + 1) ?? [];
      let asked = fetch.perBucket;
      while (await taking.takeRows(sql, tables.ops, runs)) {
        if (runs.length < asked || taking.after >= bucket.lastOp) break;
        asked = taking.rowsFor(room.bytes);
        const of = [{ ...bucket, request: { ...bucket.request, after: taking.after } }];
        runs = (await fetchRuns(sql, tables.ops, checkpoint, { of, perBucket: asked })).get(1) ?? [];
      }
      if (taking.chunk !== null) chunks.push(taking.chunk);
    }
  }
  return chunks;
}

interface Fetch {
  readonly of: readonly Wanted[];
  readonly perBucket: number;
}

/** How many buckets are fetched together: the more, the fewer and smaller the runs of those before turned out to be. */
class Pace {
  #buckets = BUCKETS_AT_FIRST;
  #perBucket = 1;

  fetch(left: readonly Wanted[]): Fetch {
    const of = left.slice(0, this.#buckets);
    return { of, perBucket: Math.max(this.#perBucket, Math.ceil(RUNS_MIN / of.length)) };
  }

  learn({ of, perBucket }: Fetch, runs: ReadonlyMap<number, readonly RunRow[]>): void {
    let most = 1;
    let bytes = 0;
    let count = 0;
    for (const [index, { lastOp }] of of.entries()) {
      const own = runs.get(index + 1) ?? [];
      const isAll = own.length < perBucket || (own.at(-1)?.last_op ?? 0) >= lastOp;
      most = Math.max(most, isAll ? own.length : RUNS_MIN / BUCKETS_AT_FIRST);
      for (const { data } of own) bytes += data?.length ?? RUN_BYTES_AT_ONCE;
      count += own.length;
    }
    const room = Math.min(RUNS_MAX, (RUNS_MIN * OP_RUN_BYTES * count) / Math.max(1, bytes));
    this.#perBucket = most;
    this.#buckets = Math.max(BUCKETS_AT_FIRST, Math.floor(room / most));
  }
}

/** Those that may have ops to read, in the order asked for. */
async function findBuckets(
  sql: Sql,
  buckets: string,
  checkpoint: OpId,
  requests: readonly BucketRequest[],
): Promise<Wanted[]> {
  const rows = await sql.rows<{ ord: number; number: number; last_op: OpId }>(
    `select u.ord, b.number, b.last_op
     from unnest($1::bytea[]) with ordinality u (name, ord) join ${buckets} b using (name)`,
    [byteaArray(requests.map(({ bucket }) => nameKey(bucket)))],
  );
  return rows
    .sort((a, b) => a.ord - b.ord)
    .map(({ ord, number, last_op }) => ({ request: requests[ord - 1] as BucketRequest, number, lastOp: last_op }))
    .filter(({ request, lastOp }) => lastOp > request.after && request.after < checkpoint);
}

/** Runs that reach behind what the client has, by the place of their bucket: 1, 2, 3, … */
async function fetchRuns(
  sql: Sql,
  ops: string,
  checkpoint: OpId,
  { of, perBucket }: Fetch,
): Promise<ReadonlyMap<number, RunRow[]>> {
  const rows = await sql.rows<RunRow>(
    `select u.ord, u.bucket, o.first_op, o.last_op, o.count, case when octet_length(o.data) <= $5 then o.data end as data
     from unnest($1::int8[], $2::int8[]) with ordinality u (bucket, after, ord), lateral (
       select * from ${ops} o where o.bucket = u.bucket and o.last_op > u.after and o.first_op <= $3
       order by o.last_op limit $4) o`,
    [
      int8Array(of.map(({ number }) => number)),
      int8Array(of.map(({ request }) => request.after)),
      checkpoint,
      perBucket,
      Math.min(RUN_BYTES_AT_ONCE, Math.floor(FETCH_BYTES_MAX / (of.length * perBucket))),
    ],
  );
  const runs = new Map<number, RunRow[]>();
  for (const row of rows) {
    const found = runs.get(row.ord);
    if (found === undefined) runs.set(row.ord, [row]);
    else found.push(row);
  }
  return runs;
}

/** Takes of one bucket's rows, and learns how large they are. */
class RowTaking extends OpTaking {
  #rows = 0;
  #rowBytes = 0;

  /** About so many rows hold `bytes`. */
  rowsFor(bytes: number): number {
    const rows = Math.ceil((1.1 * bytes) / Math.max(1, this.#rowBytes / Math.max(1, this.#rows)));
    return Math.min(RUNS_MAX, Math.max(1, rows));
  }

  /** @returns whether more may be taken from the rows behind these */
  async takeRows(sql: Sql, ops: string, rows: readonly RunRow[]): Promise<boolean> {
    for (const row of rows) {
      if (this.leaves(row.first_op)) return false;
      const data = row.data ?? (await fetchData(sql, ops, row));
      this.#rows++;
      this.#rowBytes += data.length;
      if (!this.take(storedRun(data, row))) return false;
    }
    return rows.length > 0;
  }
}

async function fetchData(sql: Sql, ops: string, run: RunRow): Promise<Buffer> {
  const [row] = await sql.rows<{ data: Buffer }>(`select data from ${ops} where bucket = $1 and last_op = $2`, [
    run.bucket,
    run.last_op,
  ]);
  return (row as { data: Buffer }).data;
}
