/** The write side of one stream. */
import {
  type Clock,
  type Failpoints,
  invariant,
  type Position,
  type Relation,
  type StreamId,
  type TableId,
} from '@sluice/core';
import {
  advance,
  afterCopy,
  type CheckpointEvent,
  type CheckpointState,
  commit,
  type CommitOutcome,
  copyDone,
  copyRequired,
  type EraseRows,
  type FlushResult,
  historyLost,
  holdsCheckpoints,
  isRead,
  type JsonValue,
  newTable,
  newTask,
  notCopied,
  type PlannedRange,
  type PlannedTable,
  type PublishedRows,
  type PublishRows,
  type RowWrite,
  type SnapshotFlush,
  type StreamFlush,
  type StreamWriter,
  type SweepResult,
  type SweepRows,
  type TablePlan,
  tablePlanned,
  type TableState,
  type TableVisibility,
  type TaskRef,
  type TaskSplit,
  type TaskState,
  whileCopying,
} from '@sluice/storage';
import { Copying } from './copying/copying.ts';
import { eraseRows, sweepRows } from './erase.ts';
import { type Evaluation, FencedWrites } from './fencing/fenced-writes.ts';
import { assertLease, releaseLease, writerName } from './fencing/lease.ts';
import { publishRows } from './publish.ts';
import { mergeIndex } from './record-index/merge-index.ts';
import { assertRoom, type Schema } from './schema.ts';
import type { StreamRows } from './stream-rows.ts';
import {
  getCheckpointState,
  getCounters,
  putCheckpointState,
  putCounters,
  putError,
  putStream,
  requireStream,
} from './streams.ts';
import {
  getTable,
  listTables,
  listTasks,
  putTable,
  putTask,
  removeTable,
  removeTasks,
  requireTable,
} from './tables.ts';
import { dropTombstones, hasLiveRecords, purgeTombstones, removeRecords } from './table-records.ts';

export interface WriterContext {
  readonly schema: Schema;
  readonly stream: StreamId;
  readonly token: number;
  readonly owner: string;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  /** Called after a commit that readers want to know of. */
  readonly wake: () => void;
}

type SilentEvent = Exclude<CheckpointEvent, { kind: 'commit' }>;

const ALL = 1_000_000_000;

export class LmdbWriter implements StreamWriter {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #context: WriterContext;
  readonly #writes: FencedWrites;
  readonly #copying: Copying;
  readonly claimant: string;

  constructor(context: WriterContext) {
    const { schema, stream, token, owner } = context;
    this.#context = context;
    this.#schema = schema;
    this.#stream = stream;
    this.claimant = writerName(owner, token);
    this.#writes = new FencedWrites({ ...context, assertHeld: () => assertLease(schema, stream, token) });
    this.#copying = new Copying({
      ...context,
      claimant: this.claimant,
      writes: this.#writes,
      evaluated: (evaluation, work, options) => this.#writes.runEvaluated(evaluation, work, options),
      onChunk: () => undefined,
    });
  }

  async flush<W extends RowWrite>({ writes, evaluate, boundary }: StreamFlush<W>): Promise<FlushResult> {
    assertRoom(this.#schema);
    const evaluation: Evaluation = {
      count: writes.length,
      apply: (rows, at) => rows.apply(writes[at] as W, evaluate),
    };
    const write = (rows: StreamRows): FlushResult => {
      const state = this.#state();
      const headOp = rows.write(state);
      this.#context.failpoints.pass('stream.rows-written');
      this.#advance(state, { kind: 'flushed', headOp, boundary });
      putError(this.#schema, this.#stream, null);
      return { kind: 'flushed', headOp, ops: headOp - state.headOp };
    };
    return this.#writes.runEvaluated(evaluation, write, { endsWriter: true });
  }

  claimTask(task: TaskRef): Promise<TaskState | null> {
    return this.#copying.claimTask(task);
  }

  releaseTask(task: TaskRef): Promise<void> {
    return this.#copying.releaseTask(task);
  }

  flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    return this.#copying.flushSnapshot(flush);
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    return this.#copying.splitTask(split);
  }

  async commit(position: Position, options: { readonly createEmpty?: boolean } = {}): Promise<CommitOutcome> {
    const outcome = await this.#writes.run(() => {
      const before = this.#state();
      const { state, outcome } = commit(before, { position, createEmpty: options.createEmpty ?? false });
      if (state !== before) putCheckpointState(this.#schema, this.#stream, state);
      if (outcome.kind === 'created') putError(this.#schema, this.#stream, null);
      return outcome;
    });
    if (outcome.kind !== 'created') return outcome;
    this.#context.failpoints.pass('checkpoint.before-notify');
    this.#context.wake();
    return outcome;
  }

  addTable(
    relation: Relation,
    keyColumns: readonly number[],
    visibility: Exclude<TableVisibility, 'publishing'> = 'shown',
  ): Promise<TableState> {
    return this.#writes.runVisibly(() => {
      const counters = getCounters(this.#schema, this.#stream);
      const state = this.#state();
      const table = newTable({ id: counters.tables + 1, relation, keyColumns }, visibility, state);
      putCounters(this.#schema, this.#stream, { ...counters, tables: table.id });
      putTable(this.#schema, this.#stream, table);
      this.#setState(whileCopying(state, table));
      return table;
    });
  }

  removeTable(tableId: TableId): Promise<void> {
    return this.#writes.run(() => {
      invariant(
        !hasLiveRecords(this.#schema, this.#stream, tableId),
        `table ${tableId} of stream ${this.#stream} still has live records`,
      );
      removeRecords(this.#schema, this.#stream, tableId);
      removeTable(this.#schema, this.#stream, tableId);
    });
  }

  planTable(table: PlannedTable, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<boolean> {
    return this.#writes.runVisibly(() => {
      const planned = tablePlanned(getTable(this.#schema, this.#stream, table.id), table, plan);
      if (planned === null) return false;
      putTable(this.#schema, this.#stream, planned);
      for (const task of tasks) putTask(this.#schema, this.#stream, newTask(table.id, task));
      return true;
    });
  }

  eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    return this.#writes.run(
      () => {
        const table = requireTable(this.#schema, this.#stream, request.tableId);
        const next: TableState = { ...table, truncateEpoch: table.truncateEpoch + 1 };
        putTable(this.#schema, this.#stream, next);
        const state = this.#state();
        const { headOp, ...result } = eraseRows(this.#schema, { stream: this.#stream, table: next, state }, request);
        this.#advance(state, { kind: 'flushed', headOp, boundary: request.boundary });
        return result;
      },
      { endsWriter: true },
    );
  }

  publishRows(request: PublishRows): Promise<PublishedRows> {
    return this.#writes.run(
      () => {
        const state = this.#state();
        const part = publishRows(this.#schema, { stream: this.#stream, state }, request);
        if (part === null) return { next: null, ops: 0 };
        this.#advance(state, part);
        return { next: part.next, ops: part.headOp - state.headOp };
      },
      { lane: 'patient' },
    );
  }

  async markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void> {
    await mergeIndex(this.#schema, { stream: this.#stream, table: tableId }, this.#writes);
    return this.#writes.run(() => {
      const table = requireTable(this.#schema, this.#stream, tableId);
      const tasks = listTasks(this.#schema, this.#stream, tableId);
      if (!isRead(table, generation, tasks) || table.unconfirmed) {
        throw notCopied(table);
      }
      putTable(this.#schema, this.#stream, copyDone(table, position));
      this.#setState(afterCopy(this.#state(), table, position));
    });
  }

  markTableSnapshotRequired(tableId: TableId, widened?: Relation): Promise<TableState> {
    return this.#writes.run(() => {
      const table = requireTable(this.#schema, this.#stream, tableId);
      const next = copyRequired(table, widened);
      if (widened !== undefined) dropTombstones(this.#schema, { stream: this.#stream, tables: [table] }, ALL);
      putTable(this.#schema, this.#stream, next);
      removeTasks(this.#schema, this.#stream, tableId);
      this.#setState(whileCopying(this.#state(), next));
      return next;
    });
  }

  markAllSnapshotDone(position: Position): Promise<readonly TableState[]> {
    return this.#writes.run(() => {
      const pending = listTables(this.#schema, this.#stream).filter(holdsCheckpoints);
      if (pending.length === 0) this.#advance(this.#state(), { kind: 'allSnapshotsDone', position });
      return pending;
    });
  }

  beginHistory(source: JsonValue): Promise<void> {
    return this.#writes.run(() => {
      for (const table of listTables(this.#schema, this.#stream)) {
        putTable(this.#schema, this.#stream, historyLost(table));
        removeTasks(this.#schema, this.#stream, table.id);
      }
      this.#advance(this.#state(), { kind: 'tableSnapshotRequired' });
      putStream(this.#schema, { ...requireStream(this.#schema, this.#stream), source });
    });
  }

  dropTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#writes.run(() => {
      const tables = listTables(this.#schema, this.#stream);
      return dropTombstones(this.#schema, { stream: this.#stream, tables }, limit);
    });
  }

  sweepRows(request: SweepRows): Promise<SweepResult> {
    return this.#writes.run(() => sweepRows(this.#schema, this.#stream, request));
  }

  purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#writes.run(() => purgeTombstones(this.#schema, this.#stream, limit));
  }

  saveSourceState(source: JsonValue): Promise<void> {
    return this.#writes.run(() => putStream(this.#schema, { ...requireStream(this.#schema, this.#stream), source }));
  }

  close(): Promise<void> {
    return this.#writes.last(() => releaseLease(this.#schema, this.#stream, this.#context.token));
  }

  #state(): CheckpointState {
    return getCheckpointState(this.#schema, this.#stream);
  }

  #setState(state: CheckpointState): void {
    putCheckpointState(this.#schema, this.#stream, state);
  }

  #advance(state: CheckpointState, event: SilentEvent): void {
    this.#setState(advance(state, event));
  }
}
