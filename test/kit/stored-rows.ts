/** What a user would be served, read from storage as of its newest checkpoint, in the shape of the oracle's answer. */
import { type Checkpoint, decodeOp } from '@sluice/core';
import { type BucketRequest, eachOp, type StreamReader } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import type { Rows } from './oracle.ts';
import type { TestUser } from './rules.ts';

export interface StoredRows {
  readonly checkpoint: Checkpoint;
  readonly rows: Rows;
}

interface LiveRow {
  readonly opId: number;
  readonly type: string;
  readonly id: string;
  readonly data: string;
}

/**
 * Null while there is no checkpoint.
 * @throws if a bucket's sum does not fit its ops, ops are out of order, or a row is live twice in a bucket
 */
export async function storedRows(reader: StreamReader, rules: SyncRules, user: TestUser): Promise<StoredRows | null> {
  const checkpoint = await reader.checkpoint();
  if (checkpoint === null) return null;
  const resolution = rules.resolve({
    token: { ...user.claims, sub: user.sub },
    parameters: {},
    subscriptions: [],
    includeDefaults: true,
  });
  const resolved =
    resolution.dynamic === null
      ? resolution.staticBuckets
      : (await resolution.dynamic.resolve((keys) => reader.lookups(checkpoint.opId, keys))).buckets;
  const buckets = new Map(resolved.map(({ bucket }) => [bucket, new ReducedBucket(bucket)]));
  await readAll(reader, checkpoint, buckets);
  for (const sum of await reader.bucketSums(checkpoint.opId, [...buckets.keys()])) {
    buckets.get(sum.bucket)?.verify(sum.checksum, sum.count);
  }
  return { checkpoint, rows: merged([...buckets.values()]) };
}

async function readAll(
  reader: StreamReader,
  checkpoint: Checkpoint,
  buckets: ReadonlyMap<string, ReducedBucket>,
): Promise<void> {
  let requests: readonly BucketRequest[] = [...buckets.keys()].map((bucket) => ({ bucket, after: 0 }));
  while (requests.length > 0) {
    const chunks = await reader.readOps(checkpoint.opId, requests, { ops: 5000, bytes: 4_000_000 });
    const last = chunks.at(-1);
    if (last === undefined) return;
    for (const chunk of chunks) {
      for (const { opId, body } of eachOp(chunk.slices)) buckets.get(chunk.bucket)?.apply(opId, body);
    }
    const at = requests.findIndex((request) => request.bucket === last.bucket);
    const rest = requests.slice(at + 1);
    requests = last.hasMore ? [{ bucket: last.bucket, after: last.slices.at(-1)?.lastOp ?? 0 }, ...rest] : rest;
  }
}

class ReducedBucket {
  readonly live = new Map<string, LiveRow>();
  readonly #name: string;
  #checksum = 0;
  #count = 0;
  #lastOpId = 0;

  constructor(name: string) {
    this.#name = name;
  }

  apply(opId: number, body: Uint8Array): void {
    if (opId <= this.#lastOpId) throw new Error(`${this.#name}: op ${opId} after ${this.#lastOpId}`);
    this.#lastOpId = opId;
    const op = decodeOp(body);
    this.#checksum = (this.#checksum + op.checksum) | 0;
    this.#count++;
    const { objectType: type = '', objectId: id = '', data } = op;
    const key = `${type}/${id}/${op.subkey}`;
    if (op.op === 'PUT' && data !== undefined) this.live.set(key, { opId, type, id, data });
    else if (op.op === 'REMOVE') this.live.delete(key);
    else throw new Error(`${this.#name}: op ${opId} is a ${op.op}`);
  }

  verify(checksum: number, count: number): void {
    if (checksum !== this.#checksum || count !== this.#count) {
      throw new Error(
        `${this.#name}: sum ${checksum} of ${count} ops is stored, ${this.#checksum} of ${this.#count} was read`,
      );
    }
    const rows = new Set([...this.live.values()].map(({ type, id }) => `${type}/${id}`));
    if (rows.size !== this.live.size) throw new Error(`${this.#name}: a row is live twice`);
  }
}

function merged(buckets: readonly ReducedBucket[]): Rows {
  const all = new Map<string, Map<string, string>>();
  const live = buckets.flatMap((bucket) => [...bucket.live.values()]).toSorted((a, b) => a.opId - b.opId);
  for (const { type, id, data } of live) {
    let table = all.get(type);
    if (table === undefined) all.set(type, (table = new Map()));
    table.set(id, data);
  }
  return all;
}
