/** The write side of one stream. What stands in the database decides, never what this object remembers. */
import type { Clock, Failpoints, Logger, Position, Relation, TableId } from '@sluice/core';
import {
  advance,
  commit,
  type CommitOutcome,
  type EraseRows,
  type FlushResult,
  type JsonValue,
  needsTombstones,
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
  type TableState,
  type TableVisibility,
  type TaskRef,
  type TaskSplit,
  type TaskState,
} from '@sluice/storage';
import { Copying } from './copying/copying.ts';
import type { Fence } from './fencing/fence.ts';
import { FencedWrites } from './fencing/fenced-writes.ts';
import type { Names } from './names.ts';
import { dropTombstones, eraseRows, publishRows, sweepRows } from './row-work.ts';
import { nothingAhead, type Session } from './fencing/session.ts';
import type { Sql, Tx } from './sql.ts';
import { saveSource } from './streams.ts';
import {
  addTable,
  loseHistory,
  markAllDone,
  markTableDone,
  markTableRequired,
  planTable,
  removeTable,
} from './table-work.ts';

const ALL = 1_000_000_000;

export interface WriterContext {
  readonly session: Session;
  readonly names: Names;
  readonly fence: Fence;
  readonly leaseMs: number;
  /** For what need not wait in line. */
  readonly reads: Sql;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failpoints: Failpoints;
}

export class PostgresWriter implements StreamWriter {
  readonly claimant: string;
  readonly #context: WriterContext;
  readonly #wake: () => void;
  readonly #writes: FencedWrites;
  readonly #copying: Copying;

  /** @param wake called after a commit that readers want to know of */
  constructor(context: WriterContext, wake: () => void) {
    this.#context = context;
    this.#wake = wake;
    this.claimant = context.fence.claimant;
    const writes = new FencedWrites(context);
    this.#writes = writes;
    this.#copying = new Copying({
      ...context,
      writes,
      evaluated: (work, options) => writes.changeEvaluated(work, options),
    });
  }

  async flush<W extends RowWrite>(flush: StreamFlush<W>): Promise<FlushResult> {
    return this.#writes.changeEvaluated<FlushResult, void>(
      {
        evaluate: (rows, from) => rows.evaluate(flush, from),
        ahead: nothingAhead,
        write: async ({ sql, row }, put) => {
          const { headOp, counters } = await put();
          this.#context.failpoints.pass('stream.rows-written');
          const state = advance(row.state, { kind: 'flushed', headOp, boundary: flush.boundary });
          this.#writes.clearError(sql);
          return { value: { kind: 'flushed', headOp, ops: headOp - row.state.headOp }, next: { state, counters } };
        },
      },
      { endsWriter: true },
    );
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
    const request = { position, createEmpty: options.createEmpty ?? false };
    const { names, fence, failpoints } = this.#context;
    const outcome = await this.#writes.inOrder(async () => {
      // Most commits of an idle or a copying stream change nothing, and then they must not write: on a shared server,
      // what is written here is news for the source's stream, and so the next commit.
      const { state } = await this.#writes.held();
      const expected = commit(state, request);
      if (expected.state === state) return expected.outcome;
      return this.#writes.transact<CommitOutcome, void>(async ({ sql, row }) => {
        const { state, outcome } = commit(row.state, request);
        if (state === row.state) return { value: outcome };
        if (outcome.kind === 'created') {
          this.#writes.clearError(sql);
          sql.send('select pg_notify($1, $2)', [names.channel, `${fence.stream}`]);
        }
        return { value: outcome, next: { state, counters: row.counters } };
      }, nothingAhead);
    });
    if (outcome.kind !== 'created') return outcome;
    failpoints.pass('checkpoint.before-notify');
    this.#wake();
    return outcome;
  }

  addTable(
    relation: Relation,
    keyColumns: readonly number[],
    visibility: Exclude<TableVisibility, 'publishing'> = 'shown',
  ): Promise<TableState> {
    return this.#writes.change((within) => addTable(within, { relation, keyColumns, visibility }));
  }

  removeTable(tableId: TableId): Promise<void> {
    return this.#writes.change((within) => removeTable(within, tableId));
  }

  planTable(table: PlannedTable, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<boolean> {
    return this.#writes.change((within) => planTable(within, { table, plan, tasks }));
  }

  eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    return this.#writes.change((within) => eraseRows(within, request), { endsWriter: true });
  }

  publishRows(request: PublishRows): Promise<PublishedRows> {
    return this.#writes.change((within) => publishRows(within, request), { lane: 'patient' });
  }

  markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void> {
    return this.#writes.change((within) => markTableDone(within, { tableId, generation, position }));
  }

  markTableSnapshotRequired(tableId: TableId, widened?: Relation): Promise<TableState> {
    return this.#writes.change(async (within) => {
      if (widened !== undefined) await dropTombstones(within, ({ id }) => id === tableId, ALL);
      return markTableRequired(within, tableId, widened);
    });
  }

  markAllSnapshotDone(position: Position): Promise<readonly TableState[]> {
    return this.#writes.change((within) => markAllDone(within, position));
  }

  beginHistory(source: JsonValue): Promise<void> {
    return this.#writes.change(async (within) => {
      this.#saveSource(within.sql, source);
      return loseHistory(within);
    });
  }

  sweepRows(request: SweepRows): Promise<SweepResult> {
    return this.#writes.change((within) => sweepRows(within, request));
  }

  purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#writes.change((within) => {
      const { checkpoint } = within.row.state;
      return dropTombstones(within, (table) => !needsTombstones(table, checkpoint), limit);
    });
  }

  dropTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#writes.change((within) => dropTombstones(within, () => true, limit));
  }

  saveSourceState(source: JsonValue): Promise<void> {
    return this.#writes.change(async ({ sql, row }) => {
      this.#saveSource(sql, source);
      return { value: undefined, next: row };
    });
  }

  close(): Promise<void> {
    return this.#writes.close();
  }

  #saveSource(sql: Tx, source: JsonValue): void {
    saveSource(sql, this.#context.names, this.#context.fence.stream, source);
  }
}
