/** The small pool for catalogue queries and table reads. Every value comes back as the text the server sent. */
import { invariant, type Logger } from '@sluice/core';
import { Pool, type PoolClient } from 'pg';
import type { SourceSettings } from './config.ts';
import { sourceError } from './errors.ts';

export type TextRow = readonly (string | null)[];

/** Leaves values as text: the driver's own parsers lose digits of timestamps, numerics and JSON. */
const asText = { getTypeParser: () => (value: string) => value };

export class Database {
  /** Host, port and database, for messages. */
  readonly where: string;
  readonly #pool: Pool;

  constructor(settings: SourceSettings, logger: Logger) {
    const { host, port, database } = settings.client;
    this.where = `${host}:${port}/${database}`;
    this.#pool = new Pool({ ...settings.client, max: settings.poolSizeMax, idleTimeoutMillis: 30_000 });
    const lost = (error: Error) => logger.debug({ error: error.message }, 'a source connection was lost');
    this.#pool.on('error', lost);
    // The pool listens to idle connections only; without a listener, the loss of one in use would end the process.
    this.#pool.on('connect', (client) => client.on('error', lost));
  }

  /** @throws SluiceError, classified */
  async rows(sql: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> {
    try {
      const result = await this.#pool.query<(string | null)[]>({
        text: sql,
        values: [...values],
        rowMode: 'array',
        types: asText,
      });
      return result.rows;
    } catch (error) {
      throw sourceError(error, this.where);
    }
  }

  /** The only row of a query that always has one. */
  async row(sql: string, values: readonly unknown[] = []): Promise<TextRow> {
    const [row] = await this.rows(sql, values);
    invariant(row !== undefined, 'a query of the source that always has a row had none');
    return row;
  }

  /** A connection for one caller, who releases it; `release(true)` throws it away. */
  async connect(): Promise<PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw sourceError(error, this.where);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
