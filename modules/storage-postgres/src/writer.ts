/**
 * The write side of one stream. Transactions run one after the other, so that what a flush has read still holds when its
 * transaction begins; what stands in the database decides, never what this object remembers.
 */
import {
  type Clock,
  invariant,
  type Logger,
  type Position,
  type Relation,
  SluiceError,
  type TableId,
} from '@sluice/core';
import {
  advance,
  type CheckpointEvent,
  commit,
  type CommitOutcome,
  copyDone,
  copyRequired,
  type EraseRows,
  type FlushResult,
  guardHolds,
  type JsonValue,
  newTable,
  newTask,
  type RowWrite,
  type SnapshotFlush,
  type StreamFlush,
  type StreamWriter,
  type TableState,
  taskAfter,
} from '@sluice/storage';
import { eraseRows, purgeTombstones } from './erase.ts';
import { releaseLease, renewLease } from './lease.ts';
import type { Names } from './names.ts';
import { type Lane, Serial } from './serial.ts';
import { type Done, isOver, type Session } from './session.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import type { Sql } from './sql.ts';
import { SourceTables } from './sql/tables.ts';
import { type Holding, readStateRow, type StateRow } from './state-row.ts';
import { StreamRows } from './stream-rows.ts';
import { clearError, saveSource } from './streams.ts';

export interface WriterContext {
  readonly session: Session;
  readonly names: Names;
  readonly holding: Holding;
  readonly leaseMs: number;
  /** For what need not wait in line. */
  readonly reads: Sql;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after a commit that readers want to know of. */
  readonly wake: () => void;
}

type SilentEvent = Exclude<CheckpointEvent, { kind: 'commit' }>;

export class PostgresWriter implements StreamWriter {
  readonly #context: WriterContext;
  readonly #serial = new Serial();
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
    const { session, clock } = this.#context;
    const write = async (): Promise<FlushResult> => {
      // Evaluated anew for each attempt of the whole; a transaction that is only run again keeps what was evaluated.
      const rows = await session.read(async (sql) => {
        const fresh = new StreamRows();
        await fresh.evaluate(flush, { sql, records: this.#own.records, tables: this.#tables(sql), clock });
        return fresh;
      });
      return this.#transact(async (sql, row) => {
        const { headOp, counters } = await rows.write(sql, this.#own, row);
        const state = advance(row.state, { kind: 'flushed', headOp, boundary: flush.boundary });
        await clearError(sql, this.#names, this.#context.holding.stream);
        return { value: { kind: 'flushed', headOp, ops: headOp - row.state.headOp }, next: { state, counters } };
      });
    };
    return this.#inOrder(write, { endsWriter: true });
  }

  async flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult> {
    const { guard, progress } = flush;
    const discarded: FlushResult = { kind: 'discarded' };
    const table = await this.#tables(this.#context.reads).get(guard.tableId);
    if (table === undefined || !guardHolds(guard, table)) {
      await this.#inOrder(() => this.#held());
      return discarded;
    }
    const rows = await SnapshotRows.prepare(flush, table, this.#context.clock);
    const write = () =>
      this.#transact<FlushResult>(async (sql, row) => {
        const tables = this.#tables(sql);
        if (!guardHolds(guard, await tables.get(guard.tableId))) return { value: discarded };
        const { headOp, counters } = await rows.write(sql, this.#own, row);
        await tables.putTasks([taskAfter(await tables.requireTask(guard.tableId, progress.index), progress)]);
        const state = advance(row.state, { kind: 'flushed', headOp, boundary: null });
        await clearError(sql, this.#names, this.#context.holding.stream);
        return { value: { kind: 'flushed', headOp, ops: headOp - row.state.headOp }, next: { state, counters } };
      });
    // Chunks are large: the stream, and so the acknowledgement, must not wait for all that stand in line.
    return this.#inOrder(write, { lane: 'patient' });
  }

  async commit(position: Position, options: { readonly createEmpty?: boolean } = {}): Promise<CommitOutcome> {
    const request = { position, createEmpty: options.createEmpty ?? false };
    const outcome = await this.#inOrder(async () => {
      // Most commits of an idle or a copying stream change nothing, and then they must not write: on a shared server,
      // what is written here is news for the source's stream, and so the next commit.
      const { state } = await this.#held();
      const expected = commit(state, request);
      if (expected.state === state) return expected.outcome;
      return this.#transact<CommitOutcome>(async (sql, row) => {
        const { state, outcome } = commit(row.state, request);
        if (state === row.state) return { value: outcome };
        if (outcome.kind === 'created') {
          await clearError(sql, this.#names, this.#context.holding.stream);
          await sql.run('select pg_notify($1, $2)', [this.#names.channel, `${this.#context.holding.stream}`]);
        }
        return { value: outcome, next: { state, counters: row.counters } };
      });
    });
    if (outcome.kind === 'created') this.#context.wake();
    return outcome;
  }

  addTable(relation: Relation, keyColumns: readonly number[]): Promise<TableState> {
    return this.#change(async (tables, row) => {
      const counters = { ...row.counters, tables: row.counters.tables + 1 };
      const table = newTable({ id: counters.tables, relation, keyColumns });
      await tables.put(table);
      const state = advance(row.state, { kind: 'tableSnapshotRequired' });
      return { value: table, next: { state, counters } };
    });
  }

  removeTable(tableId: TableId): Promise<void> {
    return this.#change(async (tables, row, sql) => {
      const live = `select 1 from ${this.#own.records} where table_id = $1 and flags <> 2 limit 1`;
      invariant((await sql.rows(live, [tableId])).length === 0, `table ${tableId} still has live records`);
      await sql.run(`delete from ${this.#own.records} where table_id = $1`, [tableId]);
      await tables.remove(tableId);
      return { value: undefined, next: row };
    });
  }

  planTable(tableId: TableId, tasks: Parameters<StreamWriter['planTable']>[1]): Promise<void> {
    return this.#change(async (tables, row) => {
      const table = await tables.require(tableId);
      invariant(!table.planned, `table ${tableId} is planned already`);
      await tables.put({ ...table, planned: true });
      await tables.putTasks(tasks.map((task) => newTask(tableId, task)));
      return { value: undefined, next: row };
    });
  }

  eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }> {
    return this.#change(
      async (tables, row, sql) => {
        const before = await tables.require(request.tableId);
        const table: TableState = { ...before, truncateEpoch: before.truncateEpoch + 1 };
        await tables.put(table);
        const { headOp, counters, ...value } = await eraseRows(sql, this.#own, { row, table }, request);
        const state = advance(row.state, { kind: 'flushed', headOp, boundary: request.boundary });
        return { value, next: { state, counters } };
      },
      { endsWriter: true },
    );
  }

  markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void> {
    return this.#change(async (tables, row) => {
      const table = await tables.require(tableId);
      const isOpen = (await tables.tasksOf(tableId)).some((task) => task.state !== 'done');
      if (table.generation !== generation || !table.planned || isOpen) {
        const name = `${table.relation.schema}.${table.relation.name}`;
        throw new SluiceError('SLU_T1204', `table ${name} is not copied completely`);
      }
      await tables.put(copyDone(table, position));
      return { value: undefined, next: advanced(row, { kind: 'tableSnapshotDone', position }) };
    });
  }

  markTableSnapshotRequired(tableId: TableId): Promise<TableState> {
    return this.#change(async (tables, row) => {
      const table = copyRequired(await tables.require(tableId));
      await tables.put(table);
      await tables.removeTasks(tableId);
      return { value: table, next: advanced(row, { kind: 'tableSnapshotRequired' }) };
    });
  }

  markAllSnapshotDone(position: Position): Promise<readonly TableState[]> {
    return this.#change(async (tables, row) => {
      const pending = (await tables.list()).filter((table) => table.snapshot === 'pending');
      if (pending.length > 0) return { value: pending };
      return { value: pending, next: advanced(row, { kind: 'allSnapshotsDone', position }) };
    });
  }

  purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }> {
    return this.#change(async (tables, row, sql) => {
      const at = { row, tables: await tables.list(), limit };
      const { remaining, purged } = await purgeTombstones(sql, this.#own.records, at);
      return purged === 0 ? { value: { remaining } } : { value: { remaining }, next: row };
    });
  }

  saveSourceState(source: JsonValue): Promise<void> {
    return this.#change(async (_tables, row, sql) => {
      await saveSource(sql, this.#names, this.#context.holding.stream, source);
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

  #tables(sql: Sql): SourceTables {
    return new SourceTables(sql, this.#names, this.#context.holding.stream);
  }

  #held(): Promise<StateRow> {
    const { session, holding } = this.#context;
    return session.read((sql) => readStateRow(sql, this.#names, holding));
  }

  /** One transaction on the stream's tables and tasks, behind those before it. */
  #change<T>(
    work: (tables: SourceTables, row: StateRow, sql: Sql) => Promise<Done<T>>,
    options: OrderOptions = {},
  ): Promise<T> {
    return this.#inOrder(() => this.#transact((sql, row) => work(this.#tables(sql), row, sql)), options);
  }

  async #transact<T>(work: (sql: Sql, row: StateRow) => Promise<Done<T>>): Promise<T> {
    const value = await this.#context.session.transact(work);
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

function advanced(row: StateRow, event: SilentEvent): StateRow {
  return { ...row, state: advance(row.state, event) };
}
