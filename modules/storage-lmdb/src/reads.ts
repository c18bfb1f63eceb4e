/**
 * The read side of one stream. A method reads in one turn of the event loop, hence from one snapshot of the database; only
 * sums of buckets far ahead of their checkpoint take several.
 */
import {
  type BucketName,
  ByteSpace,
  type Checkpoint,
  nextTurn,
  type OpId,
  type RecordKey,
  type StreamId,
  type TableId,
} from '@sluice/core';
import {
  claimedByLiving,
  type BucketChunk,
  type BucketRequest,
  type BucketSum,
  type Changes,
  type CheckpointState,
  type MemoryPlace,
  OpTaking,
  type ReadLimits,
  type ReadMemory,
  ReadRoom,
  type SnapshotControl,
  type StreamReader,
  type TableState,
  type TaskState,
} from '@sluice/storage';
import { type BucketHead, getBucketHead } from './buckets.ts';
import { readChanges } from './changes.ts';
import { livingClaimants } from './fencing/copy-writers.ts';
import { afterPrefix, bucketKey, getU64, markKey, opKey } from './keys.ts';
import { readLookup } from './lookups.ts';
import { StoredRun } from './op-runs.ts';
import { Records } from './records.ts';
import type { Schema } from './schema.ts';
import { getCheckpointState, getSnapshotControl } from './streams.ts';
import { listTables, listTasks } from './tables.ts';
import type { Watched } from './watch.ts';

interface Sum {
  readonly upTo: OpId;
  readonly checksum: number;
  readonly count: number;
}

interface RunRange {
  readonly bucket: number;
  readonly after: OpId;
  /** Of runs. */
  readonly limit?: number;
}

/** Where a run is to stand that was just read. */
type Placing = (bytes: Buffer) => MemoryPlace;

/** Good until the next read. */
const inPlace: Placing = (bytes) => ({ space: new ByteSpace(bytes), at: 0 });
const copied: Placing = (bytes) => inPlace(Buffer.from(bytes));

const SUMS_KEPT = 50_000;
const RUNS_OF_A_TURN = 64;

export class LmdbReader implements StreamReader {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #watched: Watched<Checkpoint | null>;
  /** Sums as of a checkpoint that ops have been written behind, so that a long copy does not make each client rescan. */
  readonly #sums = new Map<BucketName, Sum>();

  constructor(schema: Schema, stream: StreamId, watched: Watched<Checkpoint | null>) {
    this.#schema = schema;
    this.#stream = stream;
    this.#watched = watched;
  }

  async checkpoint(): Promise<Checkpoint | null> {
    return (await this.checkpointState()).checkpoint;
  }

  async *watch(signal: AbortSignal): AsyncIterable<Checkpoint> {
    for await (const checkpoint of this.#watched.watch(signal)) if (checkpoint !== null) yield checkpoint;
  }

  async bucketSums(checkpoint: OpId, buckets: readonly BucketName[]): Promise<readonly BucketSum[]> {
    this.#fresh();
    const sums: BucketSum[] = [];
    for (const bucket of buckets) {
      const head = getBucketHead(this.#schema, bucketKey(this.#stream, bucket));
      if (head === null) sums.push({ bucket, checksum: 0, count: 0 });
      else if (head.lastOp <= checkpoint) sums.push({ bucket, checksum: head.checksum, count: head.count });
      else sums.push(await this.#sumBefore(head, bucket, checkpoint));
    }
    return sums;
  }

  async changes(after: OpId, upTo: OpId): Promise<Changes> {
    this.#fresh();
    return readChanges(this.#schema, this.#stream, { after, upTo });
  }

  async readOps(
    checkpoint: OpId,
    requests: readonly BucketRequest[],
    limits: ReadLimits,
    memory?: ReadMemory,
  ): Promise<readonly BucketChunk[]> {
    this.#fresh();
    const room = new ReadRoom(limits);
    const keep = memory === undefined ? copied : (bytes: Buffer) => memory.keep(bytes);
    const chunks: BucketChunk[] = [];
    for (const request of requests) {
      if (room.isFull) break;
      const chunk = this.#readBucket(request, checkpoint, { room, keep });
      if (chunk !== null) chunks.push(chunk);
    }
    return chunks;
  }

  async lookups(checkpoint: OpId, keys: readonly string[]): Promise<readonly (readonly string[])[]> {
    this.#fresh();
    return keys.map((key) => readLookup(this.#schema, this.#stream, { key, checkpoint }));
  }

  async checkpointState(): Promise<CheckpointState> {
    this.#fresh();
    return getCheckpointState(this.#schema, this.#stream);
  }

  async tables(): Promise<readonly TableState[]> {
    this.#fresh();
    return listTables(this.#schema, this.#stream);
  }

  async tasks(): Promise<readonly TaskState[]> {
    this.#fresh();
    const living = livingClaimants(this.#schema, this.#stream);
    return listTasks(this.#schema, this.#stream).map((task) => claimedByLiving(task, (name) => living.has(name)));
  }

  async snapshotControl(): Promise<SnapshotControl> {
    this.#fresh();
    return getSnapshotControl(this.#schema, this.#stream);
  }

  async partialRecords(
    tableId: TableId,
    limit: number,
  ): Promise<readonly { readonly key: RecordKey; readonly record: Uint8Array }[]> {
    this.#fresh();
    const records = new Records(this.#schema, this.#stream, tableId);
    const start = Buffer.from(markKey(this.#stream, tableId, 0));
    const found: { key: RecordKey; record: Uint8Array }[] = [];
    for (const mark of this.#schema.partials.getKeys({ start, end: afterPrefix(start.subarray(0, 8)), limit })) {
      const stored = records.at(getU64(mark, 8));
      if (stored !== null) found.push({ key: stored.key, record: stored.record });
    }
    return found;
  }

  /** Makes the next read see what other processes have committed. */
  #fresh(): void {
    this.#schema.root.resetReadTxn();
  }

  /**
   * The head's sums less the runs behind the checkpoint, some of them a turn: there may be many while a table is copied
   * into a bucket that is in use. What is written meanwhile lies behind the head and does not matter.
   */
  async #sumBefore(head: BucketHead, bucket: BucketName, checkpoint: OpId): Promise<BucketSum> {
    const kept = this.#sums.get(bucket);
    if (kept?.upTo === checkpoint) return { bucket, checksum: kept.checksum, count: kept.count };
    let { checksum, count } = head;
    for (let after = checkpoint, before = -1; after < head.lastOp && after !== before; ) {
      if (after !== checkpoint) await nextTurn();
      before = after;
      for (const run of this.#runsAfter({ bucket: head.number, after, limit: RUNS_OF_A_TURN }, inPlace)) {
        after = run.lastOp;
        if (after > head.lastOp) break;
        const from = run.firstAfter(checkpoint);
        if (from === 0) checksum = (checksum - run.sum) | 0;
        else for (let at = from; at < run.count; at++) checksum = (checksum - run.checksum(at)) | 0;
        count -= run.count - from;
      }
    }
    if (this.#sums.size >= SUMS_KEPT) this.#sums.clear();
    this.#sums.set(bucket, { upTo: checkpoint, checksum, count });
    return { bucket, checksum, count };
  }

  *#runsAfter({ bucket, after, limit = Infinity }: RunRange, place: Placing): Generator<StoredRun> {
    const start = Buffer.from(opKey(this.#stream, bucket, after + 1));
    const end = afterPrefix(start.subarray(0, 8));
    for (const { key, value } of this.#schema.ops.getRange({ start, end, limit }))
      yield new StoredRun(place(value), getU64(key, 8));
  }

  #readBucket(
    request: BucketRequest,
    checkpoint: OpId,
    into: { readonly room: ReadRoom; readonly keep: Placing },
  ): BucketChunk | null {
    const head = getBucketHead(this.#schema, bucketKey(this.#stream, request.bucket));
    if (head === null || head.lastOp <= request.after || request.after >= checkpoint) return null;
    const taking = new OpTaking(request, checkpoint, into.room);
    for (const run of this.#runsAfter({ bucket: head.number, after: request.after }, into.keep))
      if (!taking.take(run)) break;
    return taking.chunk;
  }
}
