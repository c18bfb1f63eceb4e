/**
 * The transactions of one writer: each asserts the right to write first. They run one after the other, so that what a
 * flush has read still holds when its transaction begins, as far as this writer goes; others may have copied since.
 */
import type { Clock, Logger } from '@sluice/core';
import { type Lane, Serial } from '@sluice/storage';
import type { Appended } from '../append.ts';
import type { Fence } from './fence.ts';
import type { Names } from '../names.ts';
import { type Ahead, type Done, isOver, nothingAhead, type Session, type Work } from './session.ts';
import type { Sql, Tx } from '../sql.ts';
import type { BucketNumbers } from '../sql/append-ops.ts';
import { SourceTables, SourceTableWrites } from '../sql/tables.ts';
import { readCopies, type StateRow } from '../state-row.ts';
import { type Origin, StreamRows } from '../stream-rows.ts';
import { clearError } from '../streams.ts';
import type { Within } from '../table-work.ts';

/** So often are rows evaluated before their transaction and found to be out of date in it. */
const ATTEMPTS_AHEAD = 3;

export interface FencedWritesContext {
  readonly session: Session;
  readonly fence: Fence;
  readonly names: Names;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Loads rows and evaluates them. */
export type Evaluation = (rows: StreamRows, from: Origin) => Promise<void>;

/** A transaction that writes evaluated rows. */
export interface RowsWork<T, F> {
  readonly evaluate: Evaluation;
  readonly ahead: Ahead<F>;
  /** @param put writes the rows, and what they amount to */
  readonly write: (within: Within, put: () => Promise<Appended>, found: F) => Promise<Done<T>>;
}

interface FoundOf<F> {
  readonly numbers: BucketNumbers;
  readonly found: F;
}

export interface OrderOptions {
  /** Whether a failure ends the writer. */
  readonly endsWriter?: true;
  /** Default `prompt`. */
  readonly lane?: Lane;
}

export class FencedWrites {
  readonly #context: FencedWritesContext;
  readonly #own: ReturnType<Names['of']>;
  readonly #serial = new Serial();
  /** Why the writer ended: what stands behind a failed flush must not be published. */
  #failure: { readonly error: unknown } | null = null;
  #cancelRenewal: () => void = () => undefined;
  #closed = false;
  #renewedAtMs: number;

  constructor(context: FencedWritesContext) {
    this.#context = context;
    this.#own = context.names.of(context.fence.stream);
    this.#renewedAtMs = context.clock.monotonic();
    this.#renewLater();
  }

  /** One transaction, behind those before it. */
  change<T>(work: (within: Within) => Promise<Done<T>>, options: OrderOptions = {}): Promise<T> {
    return this.inOrder(() => this.transact(work, nothingAhead), options);
  }

  /**
   * Evaluates before the transaction, so that nobody waits for it meanwhile; again, if others have copied since then; and
   * in the transaction if that does not end.
   */
  changeEvaluated<T, F>(work: RowsWork<T, F>, options: OrderOptions = {}): Promise<T> {
    return this.inOrder(async () => {
      for (let attempt = 0; attempt < ATTEMPTS_AHEAD; attempt++) {
        const { rows, copies } = await this.#evaluatedAhead(work.evaluate);
        const done = await this.transact<{ readonly value: T } | null, FoundOf<F>>(
          async (within, found) => {
            if (within.row.counters.copies !== copies) return { value: null };
            const { value, ...next } = await this.#write(within, work, { rows, ...found });
            return { value: { value }, ...next };
          },
          (sql) => this.#ahead(sql, work, rows),
        );
        if (done !== null) return done.value;
      }
      return this.#evaluating(work);
    }, options);
  }

  /** Evaluates in the transaction: for writers that cannot tell whether others have written. */
  changeEvaluating<T, F>(work: RowsWork<T, F>, options: OrderOptions = {}): Promise<T> {
    return this.inOrder(() => this.#evaluating(work), options);
  }

  #evaluating<T, F>(work: RowsWork<T, F>): Promise<T> {
    return this.transact(async (within) => {
      const rows = new StreamRows();
      await work.evaluate(rows, this.#origin(within.sql));
      return this.#write(within, work, { rows, ...(await this.#ahead(within.sql, work, rows)) });
    }, nothingAhead);
  }

  async #ahead<T, F>(sql: Sql, { ahead }: RowsWork<T, F>, rows: StreamRows): Promise<FoundOf<F>> {
    const [numbers, found] = await Promise.all([rows.bucketNumbers(sql, this.#own), ahead(sql)]);
    return { numbers, found };
  }

  #write<T, F>(
    within: Within,
    { write }: RowsWork<T, F>,
    { rows, numbers, found }: FoundOf<F> & { readonly rows: StreamRows },
  ): Promise<Done<T>> {
    const { sql, row, own } = within;
    return write(within, () => rows.write(sql, own, { row, numbers }), found);
  }

  /** Run anew if the connection breaks. */
  #evaluatedAhead(evaluate: Evaluation): Promise<{ readonly rows: StreamRows; readonly copies: number }> {
    const { session, names, fence } = this.#context;
    return session.read(async (sql) => {
      const rows = new StreamRows();
      // On one connection, hence read before what is loaded.
      const [copies] = await Promise.all([readCopies(sql, names, fence.stream), evaluate(rows, this.#origin(sql))]);
      return { rows, copies };
    });
  }

  #origin(sql: Sql): Origin {
    return { sql, records: this.#own.records, tables: this.tables(sql), clock: this.#context.clock };
  }

  tables(sql: Sql): SourceTables {
    return new SourceTables(sql, this.#context.names, this.#context.fence.stream);
  }

  clearError(sql: Tx): void {
    clearError(sql, this.#context.names, this.#context.fence.stream);
  }

  /** In its turn only. Without a lock. */
  held(): Promise<StateRow> {
    const { session, fence } = this.#context;
    return session.read((sql) => fence.read(sql));
  }

  /** In its turn only. */
  async transact<T, F>(work: (within: Within, found: F) => Promise<Done<T>>, ahead: Ahead<F>): Promise<T> {
    const { session, names, fence, clock } = this.#context;
    const within: Work<T, F> = (sql, row, found) => {
      const tables = new SourceTableWrites(sql, names, fence.stream);
      return work({ sql, row, tables, own: this.#own }, found);
    };
    const value = await session.transact(within, ahead);
    this.#renewedAtMs = clock.monotonic();
    return value;
  }

  /** A turn behind those before it. */
  inOrder<T>(work: () => Promise<T>, options: OrderOptions = {}): Promise<T> {
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

  /** Behind everything that was handed in. Gives the right to write back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const { session, fence } = this.#context;
    this.#closed = true;
    this.#cancelRenewal();
    try {
      await this.#serial.run(() => session.read((sql) => fence.release(sql)), 'patient');
    } catch (error) {
      if (!isOver(error)) throw error;
    } finally {
      this.#failure = { error: fence.lost() };
      await session.close();
    }
  }

  #renewLater(): void {
    const { clock, leaseMs } = this.#context;
    if (this.#closed) return;
    this.#cancelRenewal = clock.timer(leaseMs / 3, () => {
      void this.#renew().finally(() => this.#renewLater());
    });
  }

  /** Transactions prolong it, too. */
  async #renew(): Promise<void> {
    const { clock, leaseMs, session, fence, logger } = this.#context;
    if (this.#failure !== null || clock.monotonic() - this.#renewedAtMs < leaseMs / 6) return;
    try {
      await this.inOrder(() => session.read((sql) => fence.renew(sql)));
      this.#renewedAtMs = clock.monotonic();
    } catch (error) {
      if (this.#closed) return;
      logger.warn({ stream: fence.stream, error: String(error) }, 'the lease could not be renewed');
    }
  }
}
