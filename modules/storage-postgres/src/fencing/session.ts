/**
 * A writer's own connection, and the one way to change a stream: one transaction that locks the stream's row, asserts
 * the right to write, does its work and counts up. Passing failures (a lost connection, a serialization failure) are tried again;
 * a commit whose answer was lost is looked up by the count, never guessed at.
 */
import { type Clock, invariant, type Logger, type Random, SluiceError } from '@sluice/core';
import type { Client } from 'pg';
import { isLost, isPassing, sqlState, storageError } from '../errors.ts';
import type { Fence } from './fence.ts';
import { ConnectionSql, type Sql, TransactionSql, type Tx } from '../sql.ts';
import type { StateRow } from '../state-row.ts';

export interface SessionContext {
  readonly fence: Fence;
  readonly where: string;
  /** Opens a connection of the writer's own. */
  readonly connect: () => Promise<Client>;
  readonly onClosed: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What a transaction amounts to; without `next` it has changed nothing. */
export interface Done<T> {
  readonly value: T;
  readonly next?: Pick<StateRow, 'state' | 'counters'>;
}

/** Run again, from the row as it is then, when a passing failure undid it. */
export type Work<T, F = void> = (sql: Tx, row: StateRow, found: F) => Promise<Done<T>>;

/** Reads that need not know the row: they travel with the lock, and are answered behind it. */
export type Ahead<F> = (sql: Sql) => Promise<F>;

export const nothingAhead: Ahead<void> = async () => undefined;

const ATTEMPTS = 6;
const BACKOFF_FIRST_MS = 30;

interface Asked<T, F> {
  readonly work: Work<T, F>;
  readonly ahead: Ahead<F>;
  /** The newest: those before it are known not to have taken effect. */
  unanswered: Unanswered<T> | null;
}

/** A commit that was asked for and not answered. */
interface Unanswered<T> {
  readonly seq: number;
  readonly value: T;
}

export class Session {
  readonly #context: SessionContext;
  #client: Client | null;
  #isLost = false;
  #closed = false;

  /** @param client the connection that took the right to write */
  constructor(context: SessionContext, client: Client) {
    this.#context = context;
    this.#client = client;
    this.#watch(client);
  }

  /** @throws SLU_R1101 or SLU_R1108 if the right to write is lost */
  async transact<T, F>(work: Work<T, F>, ahead: Ahead<F>): Promise<T> {
    const asked: Asked<T, F> = { work, ahead, unanswered: null };
    return this.#again((client) => this.#attempt(client, asked));
  }

  /** Outside a transaction, each statement by itself. */
  async read<T>(read: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#again((client) => read(new ConnectionSql(client)));
  }

  /** For good: it does not connect again. */
  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = null;
    this.#context.onClosed();
    await client?.end().catch(() => undefined);
  }

  async #again<T>(attempt: (client: Client) => Promise<T>): Promise<T> {
    const { clock, random, logger, where } = this.#context;
    for (let failures = 1; ; failures++) {
      try {
        return await attempt(await this.#connected());
      } catch (error) {
        if (isLost(error)) this.#drop();
        if (!isPassing(error) || failures === ATTEMPTS) throw storageError(error, where);
        logger.debug(
          { error: String(error), state: sqlState(error), failures },
          'a storage transaction is tried again',
        );
        await clock.sleep(BACKOFF_FIRST_MS * 2 ** (failures - 1) * (0.5 + random()));
      }
    }
  }

  /** Two round trips, unless the work asks for more: lock and reads, then writes and commit. */
  async #attempt<T, F>(client: Client, asked: Asked<T, F>): Promise<T> {
    const { work, ahead, unanswered } = asked;
    const { fence } = this.#context;
    const sql = new TransactionSql(client);
    // Whatever the default of the database is: what is read behind the lock must be what it waited for.
    sql.send('begin isolation level read committed');
    try {
      const [row, found] = await Promise.all([fence.lock(sql), ahead(sql)]);
      // Nobody else counts up while the right is ours: the transaction of that number is the one we asked for.
      if (unanswered?.seq === row.seq) {
        await client.query('rollback');
        return unanswered.value;
      }
      const { value, next } = await work(sql, row, found);
      if (next === undefined) {
        await client.query('rollback');
        return value;
      }
      const seq = row.seq + 1;
      fence.write(sql, { state: next.state, counters: next.counters, seq });
      asked.unanswered = { seq, value };
      // A failure of what was sent before makes a rollback of it.
      const [{ command }] = await Promise.all([client.query('commit'), sql.settled()]);
      invariant(command === 'COMMIT', `a storage transaction ended with ${command}`);
      return value;
    } catch (error) {
      if (!isLost(error)) await this.#rollBack(client);
      throw error;
    }
  }

  async #rollBack(client: Client): Promise<void> {
    try {
      await client.query('rollback');
    } catch {
      this.#drop();
    }
  }

  async #connected(): Promise<Client> {
    if (this.#closed) throw new SluiceError('SLU_T1206', 'the storage was closed', { where: this.#context.where });
    if (this.#client !== null && !this.#isLost) return this.#client;
    this.#drop();
    const { connect, fence } = this.#context;
    const client = await connect();
    this.#client = client;
    this.#isLost = false;
    this.#watch(client);
    await fence.renew(new ConnectionSql(client));
    return client;
  }

  #watch(client: Client): void {
    const lost = () => {
      if (this.#client === client) this.#isLost = true;
    };
    client.on('error', lost);
    client.on('end', lost);
  }

  #drop(): void {
    const client = this.#client;
    this.#client = null;
    client?.end().catch(() => undefined);
  }
}

const OVER: ReadonlySet<string> = new Set(['SLU_R1101', 'SLU_R1108', 'SLU_T1211']);

/** The right to write is lost, or the stream is gone: nothing that this writer does can succeed any more. */
export function isOver(error: unknown): boolean {
  return error instanceof SluiceError && OVER.has(error.code);
}
