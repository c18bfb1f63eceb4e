/**
 * The write side of one stream. Methods run one after the other up to their commit, so that what a flush has read still
 * holds when its transaction begins; they wait for the disk together.
 */
import {
  type Clock,
  type Failpoints,
  invariant,
  type OpId,
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
  type ChunkGuard,
  commit,
  type CommitOutcome,
  type ComparedRows,
  copyDone,
  copyRequired,
  type EraseRows,
  type FlushResult,
  guardHolds,
  historyLost,
  holdsCheckpoints,
  isRead,
  type JsonValue,
  type Lane,
  newTable,
  newTask,
  notCopied,
  PackedRows,
  type PlannedRange,
  type PublishedRows,
  type PublishRows,
  type RowWrite,
  Serial,
  type SnapshotFlush,
  type StreamFlush,
  type StreamWriter,
  type SweepResult,
  type SweepRows,
  type TablePlan,
  tablePlanned,
  type TableState,
  type TableVisibility,
  taskAfter,
  taskSplit,
  type TaskSplit,
  whileCopying,
} from '@sluice/storage';
import { commitVisibly } from './atomically.ts';
import { eraseRows, sweepRows } from './erase.ts';
import { assertLease, releaseLease } from './lease.ts';
import { publishRows } from './publish.ts';
import { assertRoom, type Schema } from './schema.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import { StreamRows } from './stream-rows.ts';
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
  requireTask,
} from './tables.ts';
import { dropTombstones, hasLiveRecords, purgeTombstones, removeRecords } from './table-records.ts';

export interface WriterContext {
  readonly schema: Schema;
  readonly stream: StreamId;
  readonly token: number;
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
  readonly #serial = new Serial();
  /** Why the writer ended: what stands behind a failed flush must not be published. */
  #failure: { readonly error: unknown } | null = null;

  constructor(context: WriterContext) {
    this.#context = context;
    this.#schema = context.schema;
    this.#stream = context.stream;
  }

  async flush<W extends RowWrite>(flush: StreamFlush<W>): Promise<FlushResult> {
    assertRoom(this.#schema);
    const rows = new StreamRows(this.#schema, this.#stream);
    return this.#write(
      () => {
        const state = this.#state();
        const headOp = rows.write(state);
        this.#context.failpoints.pass('stream.rows-written');
        this.#advance(state, { kind: 'flushed', headOp, boundary: flush.boundary });
        putError(this.#schema, this.#stream, null);
        return { kind: 'flushed', headOp, ops: headOp - state.headOp };
      },
      { prepare: () => rows.evaluate(flush, this.#context.clock), endsWriter: true },
    );
  }

  async flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    assertRoom(this.#schema);
    const { guard } = flush;
    this.#schema.root.resetReadTxn();
    const table = getTable(this.#schema, this.#stream, guard.tableId);
    if (table === undefined || !guardHolds(guard, table)) return this.#write(() => ({ kind: 'discarded' }));
    if (!(flush.rows instanceof PackedRows)) return this.#compare(flush, flush.rows);
    invariant(!table.unconfirmed, 'snapshot flush: rows of an unconfirmed table must be compared');
    const rows = await SnapshotRows.prepare(flush.rows, this.#context.clock);
    const write = (state: CheckpointState) => rows.write(this.#schema, this.#stream, state.headOp);
    // Chunks are large: the stream, and so the acknowledgement, must not wait for all that stand in line.
    return this.#write(() => this.#writeChunk(flush, write), { lane: 'patient' });
  }

  /** Rows of a table that has records of an older history: each record is loaded, as for streamed rows. */
  #compare<W extends RowWrite>(flush: SnapshotFlush<W>, compared: ComparedRows<W>): Promise<FlushResult> {
    const rows = new StreamRows(this.#schema, this.#stream);
    const prepare = async () => {
      if (this.#guardHolds(flush.guard)) await rows.compare(compared, this.#context.clock);
    };
    return this.#write(() => this.#writeChunk(flush, (state) => rows.write(state)), { lane: 'patient', prepare });
  }

  /** Inside the transaction. */
  #writeChunk({ guard, progress }: Chunk, writeRows: (state: CheckpointState) => OpId): FlushResult {
    if (!this.#guardHolds(guard)) return { kind: 'discarded' };
    const state = this.#state();
    const headOp = writeRows(state);
    this.#context.failpoints.pass('copy.rows-written');
    const task = requireTask(this.#schema, this.#stream, guard.tableId, progress.index);
    putTask(this.#schema, this.#stream, taskAfter(task, progress));
    this.#advance(state, { kind: 'flushed', headOp, boundary: null });
    putError(this.#schema, this.#stream, null);
    return { kind: 'flushed', headOp, ops: headOp - state.headOp };
  }

  async commit(position: Position, options: { readonly createEmpty?: boolean } = {}): Promise<CommitOutcome> {
    const outcome = await this.#write(() => {
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
    return this.#write(() => {
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
    return this.#write(() => {
      invariant(
        !hasLiveRecords(this.#schema, this.#stream, tableId),
        `table ${tableId} of stream ${this.#stream} still has live records`,
      );
      removeRecords(this.#schema, this.#stream, tableId);
      removeTable(this.#schema, this.#stream, tableId);
    });
  }

  planTable(tableId: TableId, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<void> {
    return this.#write(() => {
      putTable(this.#schema, this.#stream, tablePlanned(requireTable(this.#schema, this.#stream, tableId), plan));
      for (const task of tasks) putTask(this.#schema, this.#stream, newTask(tableId, task));
    });
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    return this.#write(() => {
      const table = getTable(this.#schema, this.#stream, split.tableId);
      const parts = taskSplit(table, listTasks(this.#schema, this.#stream, split.tableId), split);
      for (const task of parts ?? []) putTask(this.#schema, this.#stream, task);
      return parts !== null;
    });
  }

  eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    return this.#write(
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
    return this.#write(
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

  markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void> {
    return this.#write(() => {
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
    return this.#write(() => {
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
    return this.#write(() => {
      const pending = listTables(this.#schema, this.#stream).filter(holdsCheckpoints);
      if (pending.length === 0) this.#advance(this.#state(), { kind: 'allSnapshotsDone', position });
      return pending;
    });
  }

  beginHistory(source: JsonValue): Promise<void> {
    return this.#write(() => {
      for (const table of listTables(this.#schema, this.#stream)) {
        putTable(this.#schema, this.#stream, historyLost(table));
        removeTasks(this.#schema, this.#stream, table.id);
      }
      this.#advance(this.#state(), { kind: 'tableSnapshotRequired' });
      putStream(this.#schema, { ...requireStream(this.#schema, this.#stream), source });
    });
  }

  dropTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#write(() => {
      const tables = listTables(this.#schema, this.#stream);
      return dropTombstones(this.#schema, { stream: this.#stream, tables }, limit);
    });
  }

  sweepRows(request: SweepRows): Promise<SweepResult> {
    return this.#write(() => sweepRows(this.#schema, this.#stream, request));
  }

  purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#write(() => purgeTombstones(this.#schema, this.#stream, limit));
  }

  saveSourceState(source: JsonValue): Promise<void> {
    return this.#write(() => putStream(this.#schema, { ...requireStream(this.#schema, this.#stream), source }));
  }

  async close(): Promise<void> {
    const release = () => releaseLease(this.#schema, this.#stream, this.#context.token);
    // Patient: behind everything that was handed in.
    await this.#serial.run(() => commitVisibly(this.#schema, release), 'patient');
  }

  /** One fenced transaction, behind those before it. Resolves when durable. */
  async #write<T>(work: () => T, options: WriteOptions = {}): Promise<T> {
    const { value, durable } = await this.#serial.run(async () => {
      if (this.#failure !== null) throw this.#failure.error;
      try {
        this.#schema.root.resetReadTxn();
        await options.prepare?.();
        return await commitVisibly(this.#schema, () => {
          assertLease(this.#schema, this.#stream, this.#context.token);
          return work();
        });
      } catch (error) {
        if (options.endsWriter === true) this.#failure = { error };
        throw error;
      }
    }, options.lane);
    this.#context.failpoints.pass('storage.not-durable');
    await durable;
    return value;
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

  #guardHolds(guard: ChunkGuard): boolean {
    return guardHolds(guard, getTable(this.#schema, this.#stream, guard.tableId));
  }
}

type Chunk = Pick<SnapshotFlush<RowWrite>, 'guard' | 'progress'>;

interface WriteOptions {
  /** May read what the transaction relies on. */
  readonly prepare?: () => Promise<void>;
  /** Whether a failure ends the writer. */
  readonly endsWriter?: true;
  /** Default `prompt`. */
  readonly lane?: Lane;
}
