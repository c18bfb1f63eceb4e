/** Connections: a pool for reads and short transactions, and single ones for writers and the listener. */
import type { Clock, Logger, Random } from '@sluice/core';
import { Client, Pool, type PoolClient, type QueryResultRow } from 'pg';
import { isLost, isPassing, storageError } from './errors.ts';
import type { StorageSettings } from './settings.ts';
import { ConnectionSql, type Sql, type SqlValue } from './sql.ts';

/** No read takes this long; the network may swallow an answer. */
const READ_TIMEOUT_MS = 60_000;
const ATTEMPTS = 4;
const BACKOFF_FIRST_MS = 50;

export interface DatabaseTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export class Database implements Sql {
  readonly where: string;
  readonly #settings: StorageSettings;
  readonly #tools: DatabaseTools;
  readonly #pool: Pool;
  readonly #sql: Sql;

  constructor(settings: StorageSettings, poolSizeMax: number, tools: DatabaseTools) {
    this.#settings = settings;
    this.#tools = tools;
    this.where = settings.where;
    this.#pool = new Pool({
      ...settings.client,
      max: poolSizeMax,
      idleTimeoutMillis: 30_000,
      query_timeout: READ_TIMEOUT_MS,
    });
    const lost = (error: Error) => tools.logger.debug({ error: error.message }, 'a storage connection was lost');
    this.#pool.on('error', lost);
    // The pool listens to idle connections only; without a listener, the loss of one in use would end the process.
    this.#pool.on('connect', (client) => client.on('error', lost));
    this.#sql = new ConnectionSql(this.#pool);
  }

  rows<R extends QueryResultRow>(text: string, values?: readonly SqlValue[]): Promise<R[]> {
    return this.again(() => this.#sql.rows<R>(text, values));
  }

  /** Not run again after a lost connection: it may have taken effect. */
  async run(text: string, values?: readonly SqlValue[]): Promise<number> {
    try {
      return await this.#sql.run(text, values);
    } catch (error) {
      throw storageError(error, this.where);
    }
  }

  /** A short transaction. Not run again once its commit was asked for. */
  async transact<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    let asked = false;
    return this.again(
      () =>
        this.#onClient(async (client) => {
          await client.query('begin');
          const value = await work(new ConnectionSql(client));
          asked = true;
          await client.query('commit');
          return value;
        }),
      () => !asked,
    );
  }

  /** A connection of its own, for one caller who ends it. */
  async connect(options: { readonly answerMs?: number; readonly pipeline?: true } = {}): Promise<Client> {
    const { answerMs, pipeline } = options;
    const client = new Client({
      ...this.#settings.client,
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(answerMs === undefined ? {} : { query_timeout: answerMs }),
    });
    // Whoever uses it learns of the loss by its next query.
    client.on('error', (error) => this.#tools.logger.debug({ error: error.message }, 'a storage connection was lost'));
    try {
      await client.connect();
      return client;
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #onClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      const value = await work(client);
      client.release();
      return value;
    } catch (error) {
      // A connection in the middle of a transaction is of no use to anyone.
      const undone = isLost(error)
        ? false
        : await client.query('rollback').then(
            () => true,
            () => false,
          );
      client.release(!undone);
      throw error;
    }
  }

  /** Run anew after passing failures, a few times. */
  async again<T>(attempt: () => Promise<T>, mayRepeat: () => boolean = () => true): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        if (!isPassing(error) || !mayRepeat() || failures === ATTEMPTS) throw storageError(error, this.where);
        await this.#tools.clock.sleep(BACKOFF_FIRST_MS * 2 ** (failures - 1) * (0.5 + this.#tools.random()));
      }
    }
  }
}
