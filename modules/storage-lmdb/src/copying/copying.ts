/** Claims, chunks and splits of tasks: what the stream's writer and a writer for copies alone have in common. */
import { type Clock, type Failpoints, invariant, type OpId, type StreamId } from '@sluice/core';
import {
  advance,
  type CheckpointState,
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
import { livingClaimants, strikeOffTheDead } from '../fencing/copy-writers.ts';
import type { Evaluation, FencedWrites, WriteOptions } from '../fencing/fenced-writes.ts';
import { assertRoom, type Schema } from '../schema.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import type { StreamRows } from '../stream-rows.ts';
import { getCheckpointState, putCheckpointState, putError } from '../streams.ts';
import { getTable, getTask, listTasks, putTask } from '../tables.ts';

export interface CopyingContext {
  readonly schema: Schema;
  readonly stream: StreamId;
  readonly claimant: string;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  readonly writes: FencedWrites;
  /** How rows that are compared with what is stored are written. */
  readonly evaluated: <T>(evaluation: Evaluation, work: (rows: StreamRows) => T, options: WriteOptions) => Promise<T>;
  /** Inside the transaction of each chunk. */
  readonly onChunk: () => void;
}

export class Copying {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #context: CopyingContext;

  constructor(context: CopyingContext) {
    this.#context = context;
    this.#schema = context.schema;
    this.#stream = context.stream;
  }

  claimTask({ tableId, generation, index }: TaskRef): Promise<TaskState | null> {
    const { claimant, writes } = this.#context;
    return writes.runVisibly(() => {
      const living = livingClaimants(this.#schema, this.#stream);
      const found = {
        table: getTable(this.#schema, this.#stream, tableId),
        task: getTask(this.#schema, this.#stream, tableId, index),
      };
      const task = taskClaimed(found, { generation, claimant, isAlive: (other) => living.has(other) });
      if (task === null) return null;
      strikeOffTheDead(this.#schema, this.#stream);
      putTask(this.#schema, this.#stream, task);
      return task;
    });
  }

  releaseTask({ tableId, index }: TaskRef): Promise<void> {
    return this.#context.writes.runVisibly(() => {
      const task = getTask(this.#schema, this.#stream, tableId, index);
      if (task?.claimedBy === this.#context.claimant) putTask(this.#schema, this.#stream, { ...task, claimedBy: null });
    });
  }

  async flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    const { writes, clock } = this.#context;
    assertRoom(this.#schema);
    const { guard } = flush;
    this.#schema.root.resetReadTxn();
    const table = getTable(this.#schema, this.#stream, guard.tableId);
    if (table === undefined || !guardHolds(guard, table)) return writes.run(() => ({ kind: 'discarded' }));
    if (!(flush.rows instanceof PackedRows)) return this.#compare(flush, flush.rows);
    invariant(!table.unconfirmed, 'snapshot flush: rows of an unconfirmed table must be compared');
    const rows = await SnapshotRows.prepare(flush.rows, clock);
    const write = (state: CheckpointState) => rows.write(this.#schema, this.#stream, state.headOp);
    // Chunks are large: the stream, and so the acknowledgement, must not wait for all that stand in line.
    return writes.run(() => this.#writeChunk(flush, write), { lane: 'patient' }).finally(() => rows.release());
  }

  /** Rows of a table that has records of an older history: each record is loaded, as for streamed rows. */
  #compare<W extends RowWrite>(flush: SnapshotFlush<W>, { writes, evaluate }: ComparedRows<W>): Promise<FlushResult> {
    // What the chunk was read under may be over by then, and the table gone.
    let holds = false;
    const evaluation: Evaluation = {
      count: writes.length,
      apply: (rows, at) => {
        if (at === 0) holds = guardHolds(flush.guard, getTable(this.#schema, this.#stream, flush.guard.tableId));
        if (holds) rows.compare(writes[at] as W, evaluate);
      },
    };
    return this.#context.evaluated(evaluation, (rows) => this.#writeChunk(flush, (state) => rows.write(state)), {
      lane: 'patient',
    });
  }

  /** Inside the transaction. */
  #writeChunk({ guard, progress }: Chunk, writeRows: (state: CheckpointState) => OpId): FlushResult {
    const { claimant, failpoints, onChunk } = this.#context;
    const task = getTask(this.#schema, this.#stream, guard.tableId, progress.index);
    const holds = guardHolds(guard, getTable(this.#schema, this.#stream, guard.tableId));
    if (!holds || task === undefined || !mayWrite(task, claimant)) return { kind: 'discarded' };
    const state = getCheckpointState(this.#schema, this.#stream);
    const headOp = writeRows(state);
    failpoints.pass('copy.rows-written');
    putTask(this.#schema, this.#stream, taskAfter(task, progress));
    putCheckpointState(this.#schema, this.#stream, advance(state, { kind: 'flushed', headOp, boundary: null }));
    putError(this.#schema, this.#stream, null);
    onChunk();
    return { kind: 'flushed', headOp, ops: headOp - state.headOp };
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    return this.#context.writes.run(() => {
      const table = getTable(this.#schema, this.#stream, split.tableId);
      const tasks = listTasks(this.#schema, this.#stream, split.tableId);
      const parts = taskSplit(table, tasks, split);
      for (const part of parts ?? []) putTask(this.#schema, this.#stream, part);
      return parts !== null;
    });
  }
}

type Chunk = Pick<SnapshotFlush<RowWrite>, 'guard' | 'progress'>;
