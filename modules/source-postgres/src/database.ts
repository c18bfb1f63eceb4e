/**
 * Connections for the catalogue and for table reads, in two pools: a copy that waits for its consumer must not keep the
 * stream from asking where the head is. Every value comes back as the text the server sent.
 */
import { invariant, type Logger } from '@sluice/core';
import { Pool, type PoolClient } from 'pg';
import type { SourceSettings } from './config.ts';
import { sourceError } from './errors.ts';

export type TextRow = readonly (string | null)[];

const CATALOGUE_CONNECTIONS_MAX = 3;
/** No catalogue query takes this long; the network may swallow an answer. */
const CATALOGUE_TIMEOUT_MS = 60_000;

/** Leaves values as text: the driver's own parsers lose digits of timestamps, numerics and JSON. */
const asText = { getTypeParser: () => (value: string) => value };

export interface Lease {
  readonly client: PoolClient;
  /** Idempotent. A connection whose session or protocol state is not as it was is not reusable. */
  readonly release: (reusable: boolean) => void;
}

export class Database {
  /** Host, port and database, for messages. */
  readonly where: string;
  readonly #catalogue: Pool;
  readonly #readers: Pool;
  readonly #leases = new Set<Lease>();
  #closed: Promise<void> | null = null;
  #version: number | null = null;

  constructor(settings: SourceSettings, logger: Logger) {
    const { host, port, database } = settings.client;
    this.where = `${host}:${port}/${database}`;
    const common = { ...settings.client, idleTimeoutMillis: 30_000 };
    this.#catalogue = new Pool({ ...common, max: CATALOGUE_CONNECTIONS_MAX, query_timeout: CATALOGUE_TIMEOUT_MS });
    this.#readers = new Pool({ ...common, max: settings.poolSizeMax });
    const lost = (error: Error) => logger.debug({ error: error.message }, 'a source connection was lost');
    for (const pool of [this.#catalogue, this.#readers]) {
      pool.on('error', lost);
      // The pool listens to idle connections only; without a listener, the loss of one in use would end the process.
      pool.on('connect', (client) => client.on('error', lost));
    }
  }

  /** A catalogue query. @throws SluiceError, classified */
  rows(sql: string, values: readonly unknown[] = []): Promise<readonly TextRow[]> {
    return this.#query(this.#catalogue, sql, values);
  }

  /** A query on tables of the user, which may take its time. @throws SluiceError, classified */
  tableRows(sql: string, values: readonly unknown[]): Promise<readonly TextRow[]> {
    return this.#query(this.#readers, sql, values);
  }

  /** The only row of a catalogue query that always has one. */
  async row(sql: string, values: readonly unknown[] = []): Promise<TextRow> {
    const [row] = await this.rows(sql, values);
    invariant(row !== undefined, 'a query of the source that always has a row had none');
    return row;
  }

  /** As a number: 170005 is 17.5. Asked once; a cluster does not change its version while we are connected. */
  async serverVersion(): Promise<number> {
    this.#version ??= Number((await this.row("select current_setting('server_version_num')"))[0]);
    return this.#version;
  }

  /** A connection for one caller, who releases it. */
  async lease(): Promise<Lease> {
    try {
      const client = await this.#readers.connect();
      const lease = {
        client,
        release: (reusable: boolean) => {
          if (this.#leases.delete(lease)) client.release(!reusable);
        },
      };
      this.#leases.add(lease);
      return lease;
    } catch (error) {
      throw sourceError(error, this.where);
    }
  }

  /** Ends all connections, those on lease too: a reader that was left alone must not keep us from stopping. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    for (const lease of this.#leases) lease.release(false);
    await Promise.all([this.#catalogue.end(), this.#readers.end()]);
  }

  async #query(pool: Pool, sql: string, values: readonly unknown[]): Promise<readonly TextRow[]> {
    try {
      const query = { text: sql, values: [...values], rowMode: 'array' as const, types: asText };
      const result = await pool.query<(string | null)[]>(query);
      return result.rows;
    } catch (error) {
      throw sourceError(error, this.where);
    }
  }
}
