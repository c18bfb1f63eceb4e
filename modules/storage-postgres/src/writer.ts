/**
 * The write side of one stream. Transactions run one after the other, so that what a flush has read still holds when its
 * transaction begins; what stands in the database decides, never what this object remembers.
 */
import {
  type Clock,
  type Failpoints,
  invariant,
  type Logger,
  type Position,
  type Relation,
  SluiceError,
  type TableId,
} from '@sluice/core';
import {
  advance,
  commit,
  type CommitOutcome,
  type ComparedRows,
  type EraseRows,
  type FlushResult,
  guardHolds,
  type JsonValue,
  type Lane,
  needsTombstones,
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
  type TableState,
  type TableVisibility,
  taskAfter,
  type TaskSplit,
} from '@sluice/storage';
import { ChunkQueue } from './chunk-queue.ts';
import { type Chunk, findChunks, writeChunks } from './chunk-writes.ts';
import { dropTombstones, eraseRows, publishRows, sweepRows } from './row-work.ts';
import {
  addTable,
  loseHistory,
  markAllDone,
  markTableDone,
  markTableRequired,
  planTable,
  removeTable,
  splitTask,
  type Within,
} from './table-work.ts';
import { releaseLease, renewLease } from './lease.ts';
import type { Names } from './names.ts';
import { type Ahead, type Done, isOver, nothingAhead, type Session, type Work } from './session.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import type { Sql, Tx } from './sql.ts';
import type { BucketNumbers } from './sql/append-ops.ts';
import { SourceTables, SourceTableWrites } from './sql/tables.ts';
import { type Holding, readStateRow, type StateRow } from './state-row.ts';
import { type Origin, StreamRows } from './stream-rows.ts';
import { clearError, saveSource } from './streams.ts';

const ALL = 1_000_000_000;
/** As many as tasks are read at once by default. */
const CHUNKS_AT_ONCE = 4;

export interface WriterContext {
  readonly session: Session;
  readonly names: Names;
  readonly holding: Holding;
  readonly leaseMs: number;
  /** For what need not wait in line. */
  readonly reads: Sql;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failpoints: Failpoints;
  /** Called after a commit that readers want to know of. */
  readonly wake: () => void;
}

export class PostgresWriter implements StreamWriter {
  readonly #context: WriterContext;
  readonly #serial = new Serial();
  readonly #chunks = new ChunkQueue<Chunk, FlushResult>({
    chunksMax: CHUNKS_AT_ONCE,
    write: (chunks) => this.#writeChunks(chunks),
    // Chunks are large: the stream, and so the acknowledgement, must not wait for all that stand in line.
    inLine: (job) => this.#inOrder(job, { lane: 'patient' }),
  });
  readonly #names: Names;
  readonly #own: ReturnType<Names['of']>;
  /** Why the writer ended: what stands behind a failed flush must not be published. */
  #failure: { readonly error: unknown } | null = null;
  #cancelRenewal: () => void = () => undefined;
  #closed = false;
  #renewedAtMs: number;

  constructor(context: WriterContext) {
    this.#context = context;
    this.#names = context.names;
    this.#own = context.names.of(context.holding.stream);
    this.#renewedAtMs = context.clock.monotonic();
    this.#renewLater();
  }

  async flush<W extends RowWrite>(flush: StreamFlush<W>): Promise<FlushResult> {
    const write = async (): Promise<FlushResult> => {
      const rows = await this.#evaluated((fresh, from) => fresh.evaluate(flush, from));
      const ahead = (sql: Sql) => rows.bucketNumbers(sql, this.#own);
      return this.#transact<FlushResult, BucketNumbers>(async (sql, row, numbers) => {
        const { headOp, counters } = await rows.write(sql, this.#own, { row, numbers });
        this.#context.failpoints.pass('stream.rows-written');
        const state = advance(row.state, { kind: 'flushed', headOp, boundary: flush.boundary });
        this.#clearError(sql);
        return { value: { kind: 'flushed', headOp, ops: headOp - row.state.headOp }, next: { state, counters } };
      }, ahead);
    };
    return this.#inOrder(write, { endsWriter: true });
  }

  async flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    const { guard } = flush;
    const table = await this.#tables(this.#context.reads).get(guard.tableId);
    if (table === undefined || !guardHolds(guard, table)) {
      await this.#inOrder(() => this.#held());
      return { kind: 'discarded' };
    }
    if (!(flush.rows instanceof PackedRows)) return this.#compare(flush, flush.rows);
    invariant(!table.unconfirmed, 'snapshot flush: rows of an unconfirmed table must be compared');
    const rows = await SnapshotRows.prepare(flush.rows, this.#context.clock);
    return this.#chunks.add({ guard, progress: flush.progress, rows });
  }

  #writeChunks(chunks: readonly Chunk[]): Promise<readonly FlushResult[]> {
    const ahead = (sql: Sql) => findChunks(sql, this.#own, this.#tables(sql), chunks);
    const onWritten = () => this.#context.failpoints.pass('copy.rows-written');
    return this.#transact(async (sql, row, found) => {
      const done = await writeChunks(this.#within(sql, row), found, onWritten);
      if (done.next !== undefined) this.#clearError(sql);
      return done;
    }, ahead);
  }

  /** Rows of a table that has records of an older history: each record is loaded, as for streamed rows. */
  #compare<W extends RowWrite>(flush: SnapshotFlush<W>, compared: ComparedRows<W>): Promise<FlushResult> {
    const { guard, progress } = flush;
    const write = async (): Promise<FlushResult> => {
      const rows = await this.#evaluated(async (fresh, from) => {
        if (guardHolds(guard, await from.tables.get(guard.tableId))) await fresh.compare(compared, from);
      });
      const ahead = async (sql: Sql) => {
        const tables = this.#tables(sql);
        const [table, task, numbers] = await Promise.all([
          tables.get(guard.tableId),
          tables.task(guard.tableId, progress.index),
          rows.bucketNumbers(sql, this.#own),
        ]);
        return { table, task, numbers };
      };
      return this.#transact<FlushResult, Awaited<ReturnType<typeof ahead>>>(async (sql, row, found) => {
        if (!guardHolds(guard, found.table)) return { value: { kind: 'discarded' } };
        invariant(found.task !== undefined, `table ${guard.tableId} has no task ${progress.index}`);
        const { headOp, counters } = await rows.write(sql, this.#own, { row, numbers: found.numbers });
        this.#context.failpoints.pass('copy.rows-written');
        this.#writes(sql).putTasks([taskAfter(found.task, progress)]);
        const state = advance(row.state, { kind: 'flushed', headOp, boundary: null });
        this.#clearError(sql);
        return { value: { kind: 'flushed', headOp, ops: headOp - row.state.headOp }, next: { state, counters } };
      }, ahead);
    };
    return this.#inOrder(write, { lane: 'patient' });
  }

  /** Outside the transaction; run anew if the connection breaks. */
  #evaluated(evaluate: (rows: StreamRows, from: Origin) => Promise<void>): Promise<StreamRows> {
    const { session, clock } = this.#context;
    return session.read(async (sql) => {
      const rows = new StreamRows();
      await evaluate(rows, { sql, records: this.#own.records, tables: this.#tables(sql), clock });
      return rows;
    });
  }

  async commit(position: Position, options: { readonly createEmpty?: boolean } = {}): Promise<CommitOutcome> {
    const request = { position, createEmpty: options.createEmpty ?? false };
    const outcome = await this.#inOrder(async () => {
      // Most commits of an idle or a copying stream change nothing, and then they must not write: on a shared server,
      // what is written here is news for the source's stream, and so the next commit.
      const { state } = await this.#held();
      const expected = commit(state, request);
      if (expected.state === state) return expected.outcome;
      return this.#transact<CommitOutcome, void>(async (sql, row) => {
        const { state, outcome } = commit(row.state, request);
        if (state === row.state) return { value: outcome };
        if (outcome.kind === 'created') {
          this.#clearError(sql);
          sql.send('select pg_notify($1, $2)', [this.#names.channel, `${this.#context.holding.stream}`]);
        }
        return { value: outcome, next: { state, counters: row.counters } };
      }, nothingAhead);
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
    return this.#change((within) => addTable(within, { relation, keyColumns, visibility }));
  }

  removeTable(tableId: TableId): Promise<void> {
    return this.#change((within) => removeTable(within, tableId));
  }

  planTable(tableId: TableId, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<void> {
    return this.#change((within) => planTable(within, { tableId, plan, tasks }));
  }

  splitTask(split: TaskSplit): Promise<boolean> {
    return this.#change((within) => splitTask(within, split));
  }

  eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    return this.#change((within) => eraseRows(within, request), { endsWriter: true });
  }

  publishRows(request: PublishRows): Promise<PublishedRows> {
    return this.#change((within) => publishRows(within, request), { lane: 'patient' });
  }

  markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void> {
    return this.#change((within) => markTableDone(within, { tableId, generation, position }));
  }

  markTableSnapshotRequired(tableId: TableId, widened?: Relation): Promise<TableState> {
    return this.#change(async (within) => {
      if (widened !== undefined) await dropTombstones(within, ({ id }) => id === tableId, ALL);
      return markTableRequired(within, tableId, widened);
    });
  }

  markAllSnapshotDone(position: Position): Promise<readonly TableState[]> {
    return this.#change((within) => markAllDone(within, position));
  }

  beginHistory(source: JsonValue): Promise<void> {
    return this.#change(async (within) => {
      saveSource(within.sql, this.#names, this.#context.holding.stream, source);
      return loseHistory(within);
    });
  }

  sweepRows(request: SweepRows): Promise<SweepResult> {
    return this.#change((within) => sweepRows(within, request));
  }

  purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#change((within) => {
      const { checkpoint } = within.row.state;
      return dropTombstones(within, (table) => !needsTombstones(table, checkpoint), limit);
    });
  }

  dropTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#change((within) => dropTombstones(within, () => true, limit));
  }

  saveSourceState(source: JsonValue): Promise<void> {
    return this.#change(async ({ sql, row }) => {
      saveSource(sql, this.#names, this.#context.holding.stream, source);
      return { value: undefined, next: row };
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const { session, holding } = this.#context;
    this.#closed = true;
    this.#cancelRenewal();
    // Patient: behind everything that was handed in.
    const release = () => session.read((sql) => releaseLease(sql, this.#names, holding));
    try {
      await this.#serial.run(release, 'patient');
    } catch (error) {
      if (!isOver(error)) throw error;
    } finally {
      this.#failure = { error: new SluiceError('SLU_R1101', `stream ${holding.stream}: the lease was given back`) };
      await session.close();
    }
  }

  #clearError(sql: Tx): void {
    clearError(sql, this.#names, this.#context.holding.stream);
  }

  #tables(sql: Sql): SourceTables {
    return new SourceTables(sql, this.#names, this.#context.holding.stream);
  }

  #writes(sql: Tx): SourceTableWrites {
    return new SourceTableWrites(sql, this.#names, this.#context.holding.stream);
  }

  #within(sql: Tx, row: StateRow): Within {
    return { sql, row, tables: this.#writes(sql), own: this.#own };
  }

  #held(): Promise<StateRow> {
    const { session, holding } = this.#context;
    return session.read((sql) => readStateRow(sql, this.#names, holding));
  }

  /** One transaction, behind those before it. */
  #change<T>(work: (within: Within) => Promise<Done<T>>, options: OrderOptions = {}): Promise<T> {
    const change = (sql: Tx, row: StateRow) => work(this.#within(sql, row));
    return this.#inOrder(() => this.#transact(change, nothingAhead), options);
  }

  async #transact<T, F>(work: Work<T, F>, ahead: Ahead<F>): Promise<T> {
    const value = await this.#context.session.transact(work, ahead);
    this.#renewedAtMs = this.#context.clock.monotonic();
    return value;
  }

  #inOrder<T>(work: () => Promise<T>, options: OrderOptions = {}): Promise<T> {
    return this.#serial.run(async () => {
      if (this.#failure !== null) throw this.#failure.error;
      try {
        return await work();
      } catch (error) {
        if (options.endsWriter === true || isOver(error)) this.#failure = { error };
        throw error;
      }
    }, options.lane);
  }

  #renewLater(): void {
    const { clock, leaseMs } = this.#context;
    if (this.#closed) return;
    this.#cancelRenewal = clock.timer(leaseMs / 3, () => {
      void this.#renew().finally(() => this.#renewLater());
    });
  }

  /** Transactions prolong the lease, too. */
  async #renew(): Promise<void> {
    const { clock, leaseMs, session, holding, logger } = this.#context;
    if (this.#failure !== null || clock.monotonic() - this.#renewedAtMs < leaseMs / 6) return;
    try {
      await this.#inOrder(() => session.read((sql) => renewLease(sql, this.#names, { ...holding, leaseMs })));
      this.#renewedAtMs = clock.monotonic();
    } catch (error) {
      if (this.#closed) return;
      logger.warn({ stream: holding.stream, error: String(error) }, 'the lease could not be renewed');
    }
  }
}

interface OrderOptions {
  /** Whether a failure ends the writer. */
  readonly endsWriter?: true;
  /** Default `prompt`. */
  readonly lane?: Lane;
}
