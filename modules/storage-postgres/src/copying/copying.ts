/** Claims, chunks and splits of tasks: what the stream's writer and a writer for copies alone have in common. */
import { type Clock, type Failpoints, invariant } from '@sluice/core';
import {
  advance,
  type ComparedRows,
  type FlushResult,
  guardHolds,
  mayWrite,
  PackedRows,
  type RowWrite,
  type SnapshotFlush,
  taskAfter,
  taskClaimed,
  type TaskRef,
  taskSplit,
  type TaskSplit,
  type TaskState,
} from '@sluice/storage';
import { ChunkQueue } from './chunk-queue.ts';
import { type Chunk, findChunks, type FoundChunks, writeChunks } from './chunk-writes.ts';
import { livingClaimants, strikeOff } from '../fencing/copy-writers.ts';
import type { Fence } from '../fencing/fence.ts';
import type { FencedWrites, OrderOptions, RowsWork } from '../fencing/fenced-writes.ts';
import type { Names } from '../names.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import type { Sql } from '../sql.ts';

/** As many as tasks are read at once by default. */
const CHUNKS_AT_ONCE = 4;

export interface CopyingContext {
  readonly fence: Fence;
  readonly names: Names;
  readonly writes: FencedWrites;
  /** For what need not wait in line. */
  readonly reads: Sql;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  /** How rows that are compared with what is stored are written. */
  readonly evaluated: <T, F>(work: RowsWork<T, F>, options: OrderOptions) => Promise<T>;
}

export class Copying {
  readonly #context: CopyingContext;
  readonly #own: ReturnType<Names['of']>;
  readonly #chunks = new ChunkQueue<Chunk, FlushResult>({
    chunksMax: CHUNKS_AT_ONCE,
    write: (chunks) => this.#writeChunks(chunks),
    // Chunks are large: the stream, and so the acknowledgement, must not wait for all that stand in line.
    inLine: (job) => this.#context.writes.inOrder(job, { lane: 'patient' }),
  });

  constructor(context: CopyingContext) {
    this.#context = context;
    this.#own = context.names.of(context.fence.stream);
  }

  claimTask({ tableId, generation, index }: TaskRef): Promise<TaskState | null> {
    const { writes, names, fence } = this.#context;
    const { stream, claimant } = fence;
    return writes.change(async ({ sql, row, tables }) => {
      const [table, task] = await Promise.all([tables.get(tableId), tables.task(tableId, index)]);
      const before = task?.claimedBy ?? null;
      const others = before !== null && before !== claimant;
      const living = others ? await livingClaimants(sql, names, stream) : new Set<string>();
      const isAlive = (other: string) => living.has(other);
      const claimed = taskClaimed({ table, task }, { generation, claimant, isAlive });
      if (claimed === null || before === claimant) return { value: claimed };
      if (others) strikeOff(sql, names, stream, before);
      tables.putTasks([claimed]);
      return { value: claimed, next: row };
    });
  }

  releaseTask({ tableId, index }: TaskRef): Promise<void> {
    const { writes, fence } = this.#context;
    return writes.change(async ({ row, tables }) => {
      const task = await tables.task(tableId, index);
      if (task?.claimedBy !== fence.claimant) return { value: undefined };
      tables.putTasks([{ ...task, claimedBy: null }]);
      return { value: undefined, next: row };
    });
  }

  async flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    const { guard } = flush;
    const { writes, reads, clock } = this.#context;
    const table = await writes.tables(reads).get(guard.tableId);
    if (table === undefined || !guardHolds(guard, table)) {
      await writes.inOrder(() => writes.held());
      return { kind: 'discarded' };
    }
    if (!(flush.rows instanceof PackedRows)) return this.#compare(flush, flush.rows);
    invariant(!table.unconfirmed, 'snapshot flush: rows of an unconfirmed table must be compared');
    const rows = await SnapshotRows.prepare(flush.rows, clock);
    return this.#chunks.add({ guard, progress: flush.progress, rows });
  }

  #writeChunks(chunks: readonly Chunk[]): Promise<readonly FlushResult[]> {
    const { writes, failpoints, fence } = this.#context;
    const onWritten = () => failpoints.pass('copy.rows-written');
    return writes.transact<readonly FlushResult[], FoundChunks>(
      async (within, found) => {
        const done = await writeChunks(within, found, { claimant: fence.claimant, onWritten });
        if (done.next !== undefined) writes.clearError(within.sql);
        return done;
      },
      (sql) => findChunks(sql, this.#own, writes.tables(sql), chunks),
    );
  }

  /** Rows of a table that has records of an older history: each record is loaded, as for streamed rows. */
  #compare<W extends RowWrite>({ guard, progress }: SnapshotFlush<W>, compared: ComparedRows<W>): Promise<FlushResult> {
    const { writes, failpoints, fence, evaluated } = this.#context;
    const find = (sql: Sql) => {
      const tables = writes.tables(sql);
      return Promise.all([tables.get(guard.tableId), tables.task(guard.tableId, progress.index)]);
    };
    const work: RowsWork<FlushResult, Awaited<ReturnType<typeof find>>> = {
      evaluate: async (rows, from) => {
        // What the chunk was read under may be over by then, and the table gone.
        if (guardHolds(guard, await from.tables.get(guard.tableId))) await rows.compare(compared, from);
      },
      ahead: find,
      write: async ({ sql, row, tables }, put, [table, task]) => {
        const mayStore = guardHolds(guard, table) && mayWrite(task, fence.claimant);
        if (task === undefined || !mayStore) return { value: { kind: 'discarded' } };
        const { headOp, counters } = await put();
        failpoints.pass('copy.rows-written');
        tables.putTasks([taskAfter(task, progress)]);
        const state = advance(row.state, { kind: 'flushed', headOp, boundary: null });
        writes.clearError(sql);
        return { value: { kind: 'flushed', headOp, ops: headOp - row.state.headOp }, next: { state, counters } };
      },
    };
    return evaluated(work, { lane: 'patient' });
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    return this.#context.writes.change(async ({ row, tables }) => {
      const [table, tasks] = await Promise.all([tables.get(split.tableId), tables.tasksOf(split.tableId)]);
      const parts = taskSplit(table, tasks, split);
      if (parts === null) return { value: false };
      tables.putTasks(parts);
      return { value: true, next: row };
    });
  }
}
