/**
 * The storage port: replication streams, their writers and their readers. An adapter loads records, applies batches
 * atomically and answers reads; it never sees an expression or a YAML file. Reads answer *as of* the checkpoint they are
 * given, however much has been written since.
 */
import type { BucketName, Checkpoint, OpId, Position, RecordKey, StreamId, TableId } from '@sluice/core';
import type { CheckpointState } from './checkpoint-state.ts';
import type { ConfiguredRules } from './configured-rules.ts';
import type { CopyWriter } from './copy-writer.ts';
import type { OpSlice } from './op-run.ts';
import type { ReadMemory } from './read-memory.ts';
import type { SnapshotControl, SnapshotControlChange } from './snapshot-control.ts';
import type { JsonValue, TableState, TaskState } from './table-state.ts';
import type { StreamWriter } from './writer.ts';

/** `processing` until its first checkpoint; one stream at most is `active` and serves clients. */
export type StreamLifecycle = 'processing' | 'active' | 'stopped';

export interface StreamInfo {
  readonly id: StreamId;
  readonly lifecycle: StreamLifecycle;
  /** The deployed YAML, as it came. */
  readonly rules: string;
  readonly createdAtMs: number;
  /** Last error that stopped or delayed replication, for operators; null after progress. */
  readonly error: { readonly code: string; readonly message: string; readonly atMs: number } | null;
  /** What the source keeps (slot, lineage, start position); null before the source was opened first. */
  readonly source: JsonValue | null;
}

export interface BucketStorage {
  /**
   * A new stream in `processing`. Any other `processing` stream becomes `stopped` in the same transaction.
   * @param after if given: the newest stream that is not stopped, or null if there is none
   * @throws SLU_T1212 if `after` is not so (any more)
   */
  createStream(rules: string, createdAtMs: number, after?: StreamId | null): Promise<StreamInfo>;
  /** All streams that are not dropped, by id. */
  listStreams(): Promise<readonly StreamInfo[]>;
  /** Makes a stream active and every other active one stopped, in one transaction. No-op if it is active already. */
  activate(id: StreamId): Promise<void>;
  reportError(id: StreamId, error: StreamInfo['error']): Promise<void>;
  /** Oldest first. */
  configuredRules(): Promise<readonly ConfiguredRules[]>;
  /** In place of what was known of the process; null: nothing is known of it any more. */
  putConfiguredRules(process: string, hash: string | null): Promise<void>;
  /** Deletes a stopped stream and all its data. Idempotent. */
  dropStream(id: StreamId): Promise<void>;
  /** Yields (without data) at once, then whenever the list or a lifecycle changed, here or in another process. Coalesces. */
  watchStreams(signal: AbortSignal): AsyncIterable<void>;

  /**
   * Changes what is stored of how tables are to be copied, in one transaction; no lease is needed. Who copies looks at it
   * from time to time (`StreamReader.snapshotControl`).
   */
  controlSnapshot(id: StreamId, changes: readonly SnapshotControlChange[]): Promise<SnapshotControl>;

  reader(id: StreamId): StreamReader;
  /** Takes the stream's lease. @throws PSYNC_S1003 if another live process holds it. */
  openWriter(id: StreamId, owner: string): Promise<StreamWriter>;
  /** Any number, in any processes. Needs no lease on the stream, and keeps nobody from it. */
  openCopyWriter(id: StreamId, owner: string): Promise<CopyWriter>;

  /**
   * A client's proof that its own writes came back. One record per `user`: the newest one. Ids start at 1 and only rise.
   */
  createWriteCheckpoint(user: string, head: Position): Promise<bigint>;
  /** The client's own counter: stores max(stored, requested), with `head` if it rose. @returns the id stored after it. */
  requestWriteCheckpoint(user: string, requested: bigint, head: Position): Promise<bigint>;
  /** The newest one of each of the users; users without one are left out. For many users it is one look. */
  writeCheckpoints(users: readonly string[]): Promise<ReadonlyMap<string, WriteCheckpoint>>;

  close(): Promise<void>;
}

export interface WriteCheckpoint {
  readonly id: bigint;
  /** The source head that must be passed before the id may be told. */
  readonly head: Position;
}

/** The read side of one stream. Safe in any number of processes, beside any writers. */
export interface StreamReader {
  /** The newest checkpoint; null while there is none. */
  checkpoint(): Promise<Checkpoint | null>;
  /**
   * Yields the newest checkpoint whenever it changed (op or position), the current one first if there is one. May skip
   * checkpoints; never goes back. Ends when the signal aborts.
   */
  watch(signal: AbortSignal): AsyncIterable<Checkpoint>;

  /** Sum of op checksums (signed 32-bit, wrapping) and number of ops up to the checkpoint; zeros for unknown buckets. */
  bucketSums(checkpoint: OpId, buckets: readonly BucketName[]): Promise<readonly BucketSum[]>;
  /** What changed in (after, upTo]. May over-report; never under-reports. */
  changes(after: OpId, upTo: OpId): Promise<Changes>;
  /**
   * Ops of the buckets in (after, checkpoint], bucket by bucket in the order asked for, ascending, until a limit is
   * reached. At least one op is returned if there is any.
   * @param memory where ops may be put that storage has to copy; else they get memory of their own
   */
  readOps(
    checkpoint: OpId,
    requests: readonly BucketRequest[],
    limits: ReadLimits,
    memory?: ReadMemory,
  ): Promise<readonly BucketChunk[]>;
  /** For each key, the values of all source rows that have it as of the checkpoint. */
  lookups(checkpoint: OpId, keys: readonly string[]): Promise<readonly (readonly string[])[]>;

  checkpointState(): Promise<CheckpointState>;
  tables(): Promise<readonly TableState[]>;
  /** By table and index. */
  tasks(): Promise<readonly TaskState[]>;
  snapshotControl(): Promise<SnapshotControl>;
  /** Up to `limit` records of a table that still miss values. */
  partialRecords(
    tableId: TableId,
    limit: number,
  ): Promise<readonly { readonly key: RecordKey; readonly record: Uint8Array }[]>;
}

export interface BucketSum {
  readonly bucket: BucketName;
  readonly checksum: number;
  readonly count: number;
}

export interface Changes {
  /** `all`: unknown, treat every bucket as changed. */
  readonly buckets: ReadonlySet<BucketName> | 'all';
  /** Lookup keys whose entries changed. */
  readonly lookups: ReadonlySet<string> | 'all';
}

export interface BucketRequest {
  readonly bucket: BucketName;
  readonly after: OpId;
}

export interface ReadLimits {
  /** Ops in all chunks together. */
  readonly ops: number;
  /** Bytes of bodies in all chunks together, counted before the last op. */
  readonly bytes: number;
}

export interface BucketChunk {
  readonly bucket: BucketName;
  /** Its ops, ascending; one at least. Valid for as long as they are referenced. */
  readonly slices: readonly OpSlice[];
  /** Whether the bucket has more ops up to the checkpoint than this chunk. */
  readonly hasMore: boolean;
}
