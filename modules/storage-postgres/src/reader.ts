/** The read side of one stream. Each answer comes from one statement, or from rows that are never changed once written. */
import type { BucketName, Checkpoint, OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import {
  type BucketChunk,
  type BucketRequest,
  type BucketSum,
  type Changes,
  type CheckpointState,
  claimedByLiving,
  type ReadLimits,
  type SnapshotControl,
  type StreamReader,
  type TableState,
  type TaskState,
} from '@sluice/storage';
import { livingClaimants } from './fencing/copy-writers.ts';
import type { Names } from './names.ts';
import type { Sql } from './sql.ts';
import { readChanges } from './sql/read-changes.ts';
import { readLookups } from './sql/read-lookups.ts';
import { readOps } from './sql/read-ops.ts';
import { readSums } from './sql/read-sums.ts';
import { someRecords } from './sql/records.ts';
import { SourceTables } from './sql/tables.ts';
import { readCheckpointState } from './state-row.ts';
import { readSnapshotControl } from './streams.ts';
import type { Watched } from './watch.ts';

export class PostgresReader implements StreamReader {
  readonly #sql: Sql;
  readonly #names: Names;
  readonly #stream: StreamId;
  readonly #own: ReturnType<Names['of']>;
  readonly #watched: Watched<Checkpoint | null>;

  constructor(sql: Sql, names: Names, stream: StreamId, watched: Watched<Checkpoint | null>) {
    this.#sql = sql;
    this.#names = names;
    this.#stream = stream;
    this.#own = names.of(stream);
    this.#watched = watched;
  }

  async checkpoint(): Promise<Checkpoint | null> {
    return (await this.checkpointState()).checkpoint;
  }

  async *watch(signal: AbortSignal): AsyncIterable<Checkpoint> {
    let last: Checkpoint | null = null;
    for await (const checkpoint of this.#watched.watch(signal)) {
      if (checkpoint === null || (last !== null && checkpoint.position < last.position)) continue;
      last = checkpoint;
      yield checkpoint;
    }
  }

  bucketSums(checkpoint: OpId, buckets: readonly BucketName[]): Promise<readonly BucketSum[]> {
    return readSums(this.#sql, this.#own, checkpoint, buckets);
  }

  changes(after: OpId, upTo: OpId): Promise<Changes> {
    return readChanges(this.#sql, this.#names, this.#stream, { after, upTo });
  }

  readOps(checkpoint: OpId, requests: readonly BucketRequest[], limits: ReadLimits): Promise<readonly BucketChunk[]> {
    return readOps(this.#sql, this.#own, checkpoint, requests, limits);
  }

  lookups(checkpoint: OpId, keys: readonly string[]): Promise<readonly (readonly string[])[]> {
    return readLookups(this.#sql, this.#own.lookups, checkpoint, keys);
  }

  checkpointState(): Promise<CheckpointState> {
    return readCheckpointState(this.#sql, this.#names, this.#stream);
  }

  tables(): Promise<readonly TableState[]> {
    return new SourceTables(this.#sql, this.#names, this.#stream).list();
  }

  /** Whoever has died by the time that they are asked for has nothing. */
  async tasks(): Promise<readonly TaskState[]> {
    const tasks = await new SourceTables(this.#sql, this.#names, this.#stream).tasks();
    if (tasks.every(({ claimedBy }) => claimedBy === null)) return tasks;
    const living = await livingClaimants(this.#sql, this.#names, this.#stream);
    return tasks.map((task) => claimedByLiving(task, (claimant) => living.has(claimant)));
  }

  snapshotControl(): Promise<SnapshotControl> {
    return readSnapshotControl(this.#sql, this.#names, this.#stream);
  }

  partialRecords(
    tableId: TableId,
    limit: number,
  ): Promise<readonly { readonly key: RecordKey; readonly record: Uint8Array }[]> {
    return someRecords(this.#sql, this.#own.records, { tableId, which: 'partial', limit });
  }
}
