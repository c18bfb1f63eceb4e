/** The write side in memory. Every method does its work in one synchronous piece: that is its transaction. */
import { type Position, type RecordKey, type Relation, SluiceError, type TableId } from '@sluice/core';
import { advance, commit, type CommitOutcome } from '../checkpoint-state.ts';
import {
  afterCopy,
  copyDone,
  copyRequired,
  holdsCheckpoints,
  historyLost,
  isRead,
  type JsonValue,
  needsTombstones,
  newTable,
  newTask,
  type PlannedRange,
  type TablePlan,
  tablePlanned,
  notCopied,
  rowsPublished,
  type TableState,
  type TableVisibility,
  type TaskRef,
  type TaskSplit,
  whileCopying,
  type TaskState,
} from '../table-state.ts';
import type { SnapshotFlush } from '../copy-writer.ts';
import type { FlushResult } from '../flush-result.ts';
import type { RowWrite } from '../row-write.ts';
import type {
  EraseRows,
  PlannedTable,
  PublishedRows,
  PublishRows,
  StreamFlush,
  StreamWriter,
  SweepResult,
  SweepRows,
} from '../writer.ts';
import { MemoryCopyWriter } from './memory-copy-writer.ts';
import { MemoryRows } from './memory-rows.ts';
import type { MemoryStream, StoredRecord } from './memory-stream.ts';

export class MemoryWriter implements StreamWriter {
  readonly #stream: MemoryStream;
  readonly #wake: () => void;
  readonly #token: number;
  #failure: { readonly error: unknown } | null = null;
  readonly #rows: MemoryRows;
  readonly #copying: MemoryCopyWriter;

  constructor(stream: MemoryStream, owner: string, wake: () => void) {
    this.#stream = stream;
    this.#wake = wake;
    this.#token = ++stream.token;
    this.#rows = new MemoryRows(stream);
    this.#copying = new MemoryCopyWriter(stream, `${owner}, writer ${this.#token}`, () => this.#assertLease());
    stream.writerOpen = true;
  }

  get claimant(): string {
    return this.#copying.claimant;
  }

  async flush<W extends RowWrite>({ writes, evaluate, boundary }: StreamFlush<W>): Promise<FlushResult> {
    this.#assertLease();
    const before = this.#stream.state.headOp;
    let head = before;
    const apply = () => {
      for (const write of writes) {
        const moved = write.movedFrom === undefined ? null : this.#rows.live(write.tableId, write.movedFrom);
        const effect = evaluate(write, this.#rows.live(write.tableId, write.key), moved, this.#table(write.tableId));
        if (effect !== null) head = this.#rows.apply(this.#table(write.tableId), write.key, effect, head);
      }
    };
    this.#endingOnFailure(() => this.#rows.allOrNothing(apply));
    this.#stream.state = advance(this.#stream.state, { kind: 'flushed', headOp: head, boundary });
    return { kind: 'flushed', headOp: head, ops: head - before };
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
    this.#assertLease();
    const { state, outcome } = commit(this.#stream.state, { position, createEmpty: options.createEmpty ?? false });
    this.#stream.state = state;
    if (outcome.kind === 'created') this.#wake();
    return outcome;
  }

  async addTable(
    relation: Relation,
    keyColumns: readonly number[],
    visibility: Exclude<TableVisibility, 'publishing'> = 'shown',
  ): Promise<TableState> {
    this.#assertLease();
    const about = { id: this.#stream.nextTableId++, relation, keyColumns };
    const table = newTable(about, visibility, this.#stream.state);
    this.#stream.tables.set(table.id, table);
    this.#stream.state = whileCopying(this.#stream.state, table);
    return table;
  }

  async removeTable(tableId: TableId): Promise<void> {
    this.#assertLease();
    for (const record of this.#rows.of(tableId).values()) {
      if (record.kind === 'live') throw new SluiceError('SLU_X0001', `table ${tableId} still has live records`);
    }
    this.#stream.tables.delete(tableId);
    this.#stream.records.delete(tableId);
    this.#stream.tasks = this.#stream.tasks.filter((task) => task.tableId !== tableId);
  }

  async planTable(table: PlannedTable, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<boolean> {
    this.#assertLease();
    const planned = tablePlanned(this.#stream.tables.get(table.id), table, plan);
    if (planned === null) return false;
    this.#stream.tables.set(table.id, planned);
    this.#stream.tasks.push(...tasks.map((task) => newTask(table.id, task)));
    return true;
  }

  async eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    this.#assertLease();
    const table = this.#table(request.tableId);
    const epoch: TableState = { ...table, truncateEpoch: table.truncateEpoch + 1 };
    this.#stream.tables.set(table.id, epoch);
    const live = [...this.#rows.of(table.id)].filter(([, record]) => record.kind === 'live').sort(byKey);
    let head = this.#stream.state.headOp;
    for (const [key, record] of live.slice(0, request.limit)) {
      if (record.kind === 'live') head = this.#rows.apply(epoch, key, request.erase(epoch, key, record.bytes), head);
    }
    this.#stream.state = advance(this.#stream.state, { kind: 'flushed', headOp: head, boundary: request.boundary });
    return { remaining: live.length > request.limit, erased: Math.min(live.length, request.limit) };
  }

  async publishRows({ tableId, after, limit, publish }: PublishRows): Promise<PublishedRows> {
    this.#assertLease();
    const table = this.#table(tableId);
    if (table.visibility === 'shown') return { next: null, ops: 0 };
    if (table.endPosition === null) throw notCopied(table);
    const found = [...this.#rows.of(tableId)].filter(isLive).sort(byKey);
    const left = found.filter(([key]) => typeof after !== 'string' || key > after);
    const part = left.slice(0, limit);
    const remaining = left.length > part.length;
    const next = rowsPublished(table, remaining);
    const before = this.#stream.state.headOp;
    let head = before;
    this.#rows.allOrNothing(() => {
      for (const [key, { bytes }] of part) {
        const effect = publish(next, key, bytes);
        if (effect !== null) head = this.#rows.apply(table, key, effect, head);
      }
    });
    this.#stream.tables.set(tableId, next);
    const event = { kind: 'stagedPublished', headOp: head, position: table.endPosition, remaining } as const;
    this.#stream.state = advance(this.#stream.state, event);
    return { next: remaining ? (part.at(-1)?.[0] ?? null) : null, ops: head - before };
  }

  async markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void> {
    this.#assertLease();
    const table = this.#table(tableId);
    if (!isRead(table, generation, this.#tasksOf(tableId)) || table.unconfirmed) {
      throw notCopied(table);
    }
    this.#stream.tables.set(tableId, copyDone(table, position));
    this.#stream.state = afterCopy(this.#stream.state, table, position);
  }

  async markTableSnapshotRequired(tableId: TableId, widened?: Relation): Promise<TableState> {
    this.#assertLease();
    const table = this.#table(tableId);
    const required = copyRequired(table, widened);
    if (widened !== undefined) this.#dropTombstones([table], Number.POSITIVE_INFINITY);
    this.#stream.tables.set(tableId, required);
    this.#stream.tasks = this.#stream.tasks.filter((task) => task.tableId !== tableId);
    this.#stream.state = whileCopying(this.#stream.state, required);
    return required;
  }

  async markAllSnapshotDone(position: Position): Promise<readonly TableState[]> {
    this.#assertLease();
    const pending = [...this.#stream.tables.values()].filter(holdsCheckpoints);
    if (pending.length === 0) this.#stream.state = advance(this.#stream.state, { kind: 'allSnapshotsDone', position });
    return pending;
  }

  async beginHistory(source: JsonValue): Promise<void> {
    this.#assertLease();
    for (const table of this.#stream.tables.values()) this.#stream.tables.set(table.id, historyLost(table));
    this.#stream.tasks = [];
    this.#stream.state = advance(this.#stream.state, { kind: 'tableSnapshotRequired' });
    this.#stream.info = { ...this.#stream.info, source };
  }

  async dropTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    this.#assertLease();
    return this.#dropTombstones([...this.#stream.tables.values()], limit);
  }

  async sweepRows({ tableId, generation, after, limit, sweep }: SweepRows): Promise<SweepResult> {
    this.#assertLease();
    const table = this.#stream.tables.get(tableId);
    if (table === undefined || !isRead(table, generation, this.#tasksOf(tableId))) return { kind: 'discarded' };
    const rest = [...this.#rows.of(tableId)].sort(byKey).filter(([key]) => after === null || key > (after as string));
    let head = this.#stream.state.headOp;
    let erased = 0;
    this.#rows.allOrNothing(() => {
      for (const [key, record] of rest.slice(0, limit)) {
        const effect = record.kind === 'live' ? sweep(table, key, record.bytes) : null;
        if (effect === null) continue;
        head = this.#rows.apply(table, key, effect, head);
        this.#rows.of(tableId).delete(key);
        erased++;
      }
    });
    const next = rest.length > limit ? (rest[limit - 1]?.[0] ?? null) : null;
    if (next === null) this.#stream.tables.set(tableId, { ...table, unconfirmed: false });
    this.#stream.state = advance(this.#stream.state, { kind: 'flushed', headOp: head, boundary: null });
    return { kind: 'swept', next, erased };
  }

  async purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    this.#assertLease();
    const { checkpoint } = this.#stream.state;
    const tables = [...this.#stream.tables.values()].filter((table) => !needsTombstones(table, checkpoint));
    return this.#dropTombstones(tables, limit);
  }

  #dropTombstones(tables: readonly TableState[], limit: number): { readonly remaining: boolean } {
    let left = limit;
    for (const table of tables) {
      for (const [key, record] of this.#rows.of(table.id)) {
        if (record.kind !== 'tombstone') continue;
        if (left-- === 0) return { remaining: true };
        this.#rows.of(table.id).delete(key);
      }
    }
    return { remaining: false };
  }

  async saveSourceState(state: JsonValue): Promise<void> {
    this.#assertLease();
    this.#stream.info = { ...this.#stream.info, source: state };
  }

  async close(): Promise<void> {
    await this.#copying.close();
    if (this.#stream.token === this.#token) this.#stream.writerOpen = false;
  }

  /** Runs what must not be followed by a commit if it fails. */
  #endingOnFailure<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  #assertLease(): void {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#stream.token !== this.#token) {
      throw new SluiceError('SLU_R1101', `another writer took over stream ${this.#stream.info.id}`);
    }
  }

  #table(tableId: TableId): TableState {
    const table = this.#stream.tables.get(tableId);
    if (table === undefined) throw new SluiceError('SLU_X0001', `there is no table ${tableId}`);
    return table;
  }

  #tasksOf(tableId: TableId): readonly TaskState[] {
    return this.#stream.tasks.filter((task) => task.tableId === tableId);
  }
}

type LiveEntry = [RecordKey, Extract<StoredRecord, { kind: 'live' }>];

function isLive(entry: [RecordKey, StoredRecord]): entry is LiveEntry {
  return entry[1].kind === 'live';
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}
