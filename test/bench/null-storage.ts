/**
 * A storage that evaluates every row and keeps nothing of it: what is left of replication when storage costs nothing.
 * Tables, tasks and the checkpoint state are kept, in memory, under the real rules. One stream, one process.
 */
import { invariant, type Position, type StreamId, type TableId } from '@sluice/core';
import {
  advance,
  type BucketStorage,
  type CheckpointEvent,
  type CheckpointState,
  commit,
  type CommitOutcome,
  type Evaluate,
  type FlushResult,
  guardHolds,
  initialCheckpointState,
  initialSnapshotControl,
  newTable,
  newTask,
  PackedRows,
  type Places,
  type PlannedRange,
  type PlannedTable,
  type PublishedRows,
  type RowWrite,
  type SnapshotFlush,
  type StreamFlush,
  type StreamInfo,
  type StreamReader,
  type StreamWriter,
  type TablePlan,
  type SweepResult,
  type TableState,
  taskAfter,
  type TaskRef,
  type TaskSplit,
  taskSplit,
  type TaskState,
} from '@sluice/storage';

export interface NullStorage {
  readonly stream: StreamInfo;
  readonly storage: BucketStorage;
  /** What flushes produced and dropped. */
  readonly dropped: { ops: number; opBytes: number; records: number; recordBytes: number };
}

export function createNullStorage(): NullStorage {
  const memory = new NullStream();
  const stream: StreamInfo = {
    id: 1,
    lifecycle: 'processing',
    rules: '',
    createdAtMs: 0,
    error: null,
    source: null,
  };
  const notHere = (): never => {
    throw new Error('the null storage keeps nothing to read');
  };
  const reader: Partial<StreamReader> = {
    checkpoint: () => Promise.resolve(memory.state.checkpoint),
    checkpointState: () => Promise.resolve(memory.state),
    tables: () => Promise.resolve([...memory.tables.values()]),
    tasks: () => Promise.resolve([...memory.tasks.values()].flat()),
    snapshotControl: () => Promise.resolve(initialSnapshotControl),
    partialRecords: () => Promise.resolve([]),
  };
  const storage: Partial<BucketStorage> = {
    reader: (_id: StreamId) => reader as StreamReader,
    openWriter: () => Promise.resolve(memory),
    activate: () => Promise.resolve(),
    reportError: () => Promise.resolve(),
    listStreams: () => Promise.resolve([stream]),
    createStream: notHere,
    close: () => Promise.resolve(),
  };
  return { stream, storage: storage as BucketStorage, dropped: memory.dropped };
}

class NullStream implements StreamWriter {
  readonly claimant = 'the only one';
  state: CheckpointState = initialCheckpointState;
  readonly tables = new Map<TableId, TableState>();
  readonly tasks = new Map<TableId, TaskState[]>();
  readonly dropped = { ops: 0, opBytes: 0, records: 0, recordBytes: 0 };

  #evaluateAll<W extends RowWrite>(
    writes: readonly W[],
    evaluate: Evaluate<W>,
    boundary: Position | null,
  ): FlushResult {
    const before = this.dropped.ops;
    for (const write of writes) {
      const table = this.tables.get(write.tableId);
      if (table === undefined) throw new Error(`no table ${write.tableId}`);
      const effect = evaluate(write, null, null, table);
      if (effect === null) continue;
      for (const op of effect.ops) this.dropped.opBytes += op.body.length;
      this.dropped.ops += effect.ops.length;
      if (effect.record === null) continue;
      this.dropped.records++;
      this.dropped.recordBytes += effect.record.length;
    }
    const ops = this.dropped.ops - before;
    this.#advance({ kind: 'flushed', headOp: this.state.headOp + ops, boundary });
    return { kind: 'flushed', headOp: this.state.headOp, ops };
  }

  #drop({ bodies, slots }: PackedRows): FlushResult {
    this.dropped.ops += bodies.count;
    this.dropped.opBytes += bytesOf(bodies);
    this.dropped.records += slots.count;
    this.dropped.recordBytes += bytesOf(slots);
    this.#advance({ kind: 'flushed', headOp: this.state.headOp + bodies.count, boundary: null });
    return { kind: 'flushed', headOp: this.state.headOp, ops: bodies.count };
  }

  #advance(event: Exclude<CheckpointEvent, { kind: 'commit' }>): void {
    this.state = advance(this.state, event);
  }

  flush<W extends RowWrite>(flush: StreamFlush<W>): Promise<FlushResult> {
    return Promise.resolve(this.#evaluateAll(flush.writes, flush.evaluate, flush.boundary));
  }

  claimTask({ tableId, index }: TaskRef): Promise<TaskState | null> {
    return Promise.resolve(this.tasks.get(tableId)?.find((task) => task.index === index) ?? null);
  }

  releaseTask(): Promise<void> {
    return Promise.resolve();
  }

  flushSnapshot<W extends RowWrite>({ rows, guard, progress }: SnapshotFlush<W>): Promise<FlushResult> {
    if (!guardHolds(guard, this.tables.get(guard.tableId))) return Promise.resolve({ kind: 'discarded' });
    invariant(rows instanceof PackedRows, 'there are no older records to compare with');
    const result = this.#drop(rows);
    const tasks = this.tasks.get(guard.tableId) ?? [];
    this.tasks.set(
      guard.tableId,
      tasks.map((task) => (task.index !== progress.index ? task : taskAfter(task, progress))),
    );
    return Promise.resolve(result);
  }

  commit(position: Position, options: { readonly createEmpty?: boolean } = {}): Promise<CommitOutcome> {
    const { state, outcome } = commit(this.state, { position, createEmpty: options.createEmpty ?? false });
    this.state = state;
    return Promise.resolve(outcome);
  }

  addTable(relation: TableState['relation'], keyColumns: readonly number[]): Promise<TableState> {
    const table = newTable({ id: this.tables.size + 1, relation, keyColumns }, 'shown', this.state);
    this.tables.set(table.id, table);
    this.#advance({ kind: 'tableSnapshotRequired' });
    return Promise.resolve(table);
  }

  #change(tableId: TableId, change: Partial<TableState>): TableState {
    const table = this.tables.get(tableId);
    if (table === undefined) throw new Error(`no table ${tableId}`);
    const changed = { ...table, ...change };
    this.tables.set(tableId, changed);
    return changed;
  }

  planTable({ id }: PlannedTable, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<boolean> {
    this.#change(id, { plan });
    this.tasks.set(
      id,
      tasks.map((task) => newTask(id, task)),
    );
    return Promise.resolve(true);
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    const own = this.tasks.get(split.tableId) ?? [];
    const parts = taskSplit(this.tables.get(split.tableId), own, split);
    if (parts === null) return Promise.resolve(false);
    this.tasks.set(split.tableId, [...own.filter((task) => task.index !== split.index), ...parts]);
    return Promise.resolve(true);
  }

  publishRows(): Promise<PublishedRows> {
    return Promise.resolve({ next: null, ops: 0 });
  }

  markTableSnapshotDone(tableId: TableId, _generation: number, position: Position): Promise<void> {
    this.#change(tableId, { snapshot: 'done', endPosition: position });
    this.#advance({ kind: 'tableSnapshotDone', position });
    return Promise.resolve();
  }

  markTableSnapshotRequired(tableId: TableId): Promise<TableState> {
    this.tasks.delete(tableId);
    const generation = (this.tables.get(tableId)?.generation ?? 0) + 1;
    this.#advance({ kind: 'tableSnapshotRequired' });
    return Promise.resolve(this.#change(tableId, { generation, plan: null, snapshot: 'pending' }));
  }

  markAllSnapshotDone(position: Position): Promise<readonly TableState[]> {
    const pending = [...this.tables.values()].filter((table) => table.snapshot === 'pending');
    if (pending.length === 0) this.#advance({ kind: 'allSnapshotsDone', position });
    return Promise.resolve(pending);
  }

  removeTable(tableId: TableId): Promise<void> {
    this.tables.delete(tableId);
    return Promise.resolve();
  }

  eraseRows(): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    return Promise.resolve({ remaining: false, erased: 0 });
  }

  purgeTombstones(): Promise<{ readonly remaining: boolean }> {
    return Promise.resolve({ remaining: false });
  }

  /** Nothing is kept that could be wrong. */
  beginHistory(): Promise<void> {
    return Promise.resolve();
  }

  dropTombstones(): Promise<{ readonly remaining: boolean }> {
    return Promise.resolve({ remaining: false });
  }

  sweepRows(): Promise<SweepResult> {
    return Promise.resolve({ kind: 'swept', next: null, erased: 0 });
  }

  saveSourceState(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function bytesOf(places: Places): number {
  let bytes = 0;
  for (let at = 0; at < places.count; at++) bytes += places.length(at);
  return bytes;
}
