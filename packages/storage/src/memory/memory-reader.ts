/** The read side in memory: every answer is computed from the whole log. */
import type { BucketName, Checkpoint, Latest, OpId, TableId } from '@sluice/core';
import type { BucketChunk, BucketRequest, BucketSum, Changes, ReadLimits, StreamReader } from '../bucket-storage.ts';
import type { CheckpointState } from '../checkpoint-state.ts';
import { packOps } from '../op-run.ts';
import type { SnapshotControl } from '../snapshot-control.ts';
import { claimedByLiving, type TableState, type TaskState } from '../table-state.ts';
import type { MemoryStream, StoredOp } from './memory-stream.ts';

export class MemoryReader implements StreamReader {
  readonly #stream: MemoryStream;
  readonly #woken: Latest<number>;

  constructor(stream: MemoryStream, woken: Latest<number>) {
    this.#stream = stream;
    this.#woken = woken;
  }

  async checkpoint(): Promise<Checkpoint | null> {
    return this.#stream.state.checkpoint;
  }

  async *watch(signal: AbortSignal): AsyncIterable<Checkpoint> {
    let last: Checkpoint | null = null;
    while (!signal.aborted) {
      const version = this.#woken.version;
      const now: Checkpoint | null = this.#stream.state.checkpoint;
      if (now !== null && (now.opId !== last?.opId || now.position !== last.position)) {
        last = now;
        yield now;
        continue;
      }
      try {
        await this.#woken.changed(version, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  async bucketSums(checkpoint: OpId, buckets: readonly BucketName[]): Promise<readonly BucketSum[]> {
    return buckets.map((bucket) => {
      const ops = this.#ops(bucket, 0, checkpoint);
      return { bucket, checksum: ops.reduce((sum, op) => (sum + op.checksum) | 0, 0), count: ops.length };
    });
  }

  async changes(after: OpId, upTo: OpId): Promise<Changes> {
    const within = ({ id }: { id: OpId }) => id > after && id <= upTo;
    return {
      buckets: new Set(this.#stream.ops.filter(within).map((op) => op.bucket)),
      lookups: new Set(this.#stream.lookups.filter(within).map((lookup) => lookup.key)),
    };
  }

  async readOps(
    checkpoint: OpId,
    requests: readonly BucketRequest[],
    limits: ReadLimits,
  ): Promise<readonly BucketChunk[]> {
    const chunks: BucketChunk[] = [];
    let left = limits.ops;
    let bytes = limits.bytes;
    for (const { bucket, after } of requests) {
      const ops = this.#ops(bucket, after, checkpoint);
      const taken: StoredOp[] = [];
      for (const op of ops) {
        if (left <= 0 || bytes <= 0) break;
        taken.push(op);
        left--;
        bytes -= op.body.length;
      }
      if (taken.length > 0) chunks.push({ bucket, slices: [packOps(taken)], hasMore: taken.length < ops.length });
      if (left <= 0 || bytes <= 0) break;
    }
    return chunks;
  }

  async lookups(checkpoint: OpId, keys: readonly string[]): Promise<readonly (readonly string[])[]> {
    return keys.map((key) => {
      const byRow = new Map<string, string>();
      for (const entry of this.#stream.lookups) {
        if (entry.key === key && entry.id <= checkpoint) byRow.set(entry.row, entry.value);
      }
      return [...byRow.values()].filter((value) => value !== '');
    });
  }

  async checkpointState(): Promise<CheckpointState> {
    return this.#stream.state;
  }

  async tables(): Promise<readonly TableState[]> {
    return [...this.#stream.tables.values()];
  }

  async tasks(): Promise<readonly TaskState[]> {
    const { tasks, claimants } = this.#stream;
    return tasks
      .map((task) => claimedByLiving(task, (claimant) => claimants.has(claimant)))
      .sort((a, b) => a.tableId - b.tableId || a.index - b.index);
  }

  async snapshotControl(): Promise<SnapshotControl> {
    return this.#stream.control;
  }

  async partialRecords(tableId: TableId, limit: number): ReturnType<StreamReader['partialRecords']> {
    const found: { key: string; record: Uint8Array }[] = [];
    for (const [key, record] of this.#stream.records.get(tableId) ?? []) {
      if (record.kind === 'live' && record.partial && found.length < limit) found.push({ key, record: record.bytes });
    }
    return found;
  }

  #ops(bucket: BucketName, after: OpId, upTo: OpId): StoredOp[] {
    return this.#stream.ops.filter((op) => op.bucket === bucket && op.id > after && op.id <= upTo);
  }
}
