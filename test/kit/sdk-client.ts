/**
 * The real thing: `@powersync/node` with its SQLite, against our server. A database opens several worker threads: a few at
 * once are fine, dozens are not. Always `close`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AbstractPowerSyncDatabase, column, LogLevels, PowerSyncDatabase, Schema, Table } from '@powersync/node';
import { PATIENCE_MS } from './patience.ts';

export type SdkTables = Readonly<Record<string, Readonly<Record<string, 'text' | 'integer' | 'real'>>>>;

export interface SdkClientOptions {
  /** No trailing slash. */
  readonly endpoint: string;
  readonly token: string | (() => Promise<string>);
  readonly tables: SdkTables;
  /** Does what the app's backend would: writes to the source, and returns when it is committed. */
  readonly upload?: (change: SdkChange) => Promise<void>;
  readonly parameters?: Record<string, string | number | boolean>;
  /** A folder to keep the database in, to open it again later; the caller removes it. */
  readonly folder?: string;
  readonly checkpointMode?: 'legacy' | 'requests';
}

export interface SdkChange {
  readonly op: string;
  readonly table: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

export interface SdkBucket {
  readonly name: string;
  readonly last_op: number;
}

export class SdkClient {
  readonly #db: PowerSyncDatabase;
  readonly #options: SdkClientOptions;
  readonly #temporaryFolder: string | null;
  /** Messages of download errors, in order. */
  readonly errors: string[] = [];
  /** What the SDK logged as a warning or worse: a checksum that does not fit is told nowhere else. */
  readonly warnings: readonly string[];

  private constructor(
    db: PowerSyncDatabase,
    parts: { options: SdkClientOptions; warnings: readonly string[]; temporaryFolder: string | null },
  ) {
    this.#db = db;
    this.#options = parts.options;
    this.warnings = parts.warnings;
    this.#temporaryFolder = parts.temporaryFolder;
  }

  static async open(options: SdkClientOptions): Promise<SdkClient> {
    const warnings: string[] = [];
    const temporaryFolder = options.folder === undefined ? await mkdtemp(join(tmpdir(), 'sluice-sdk-')) : null;
    const schema = new Schema(
      Object.fromEntries(
        Object.entries(options.tables).map(([name, columns]) => [
          name,
          new Table(Object.fromEntries(Object.entries(columns).map(([key, type]) => [key, column[type]]))),
        ]),
      ),
    );
    const db = new PowerSyncDatabase({
      schema,
      database: { dbFilename: 'client.db', dbLocation: options.folder ?? temporaryFolder ?? tmpdir() },
      // What goes wrong is in `errors` and `warnings`; the console stays quiet.
      logger: {
        log: ({ level, message, error }) => {
          if (level >= LogLevels.warn)
            warnings.push(error instanceof Error ? `${message}: ${error.name}: ${error.message}` : message);
        },
      },
    });
    await db.init();
    const client = new SdkClient(db, { options, warnings, temporaryFolder });
    db.registerListener({
      statusChanged: (status) => {
        const error = status.dataFlowStatus.downloadError;
        if (error !== undefined && error.message !== client.errors.at(-1)) client.errors.push(error.message);
      },
    });
    return client;
  }

  /** Connects, and resolves after the first attempt, however it ended. */
  async connect(): Promise<void> {
    const { token, endpoint, checkpointMode, parameters } = this.#options;
    await this.#db.connect(
      {
        fetchCredentials: async () => ({ endpoint, token: typeof token === 'string' ? token : await token() }),
        uploadData: (database) => this.#upload(database),
      },
      {
        checkpointMode: checkpointMode ?? 'legacy',
        params: parameters ?? {},
        retryDelayMs: 500,
        crudUploadThrottleMs: 50,
      },
    );
  }

  async #upload(database: AbstractPowerSyncDatabase): Promise<void> {
    const { upload } = this.#options;
    if (upload === undefined) throw new Error('this client has no backend to upload to');
    for (;;) {
      const transaction = await database.getNextCrudTransaction();
      if (transaction === null) return;
      for (const { op, table, id, opData } of transaction.crud) await upload({ op, table, id, data: opData });
      await transaction.complete();
    }
  }

  async firstSync(timeoutMs = PATIENCE_MS): Promise<void> {
    await this.#db.waitForFirstSync(AbortSignal.timeout(timeoutMs));
    if (this.#db.currentStatus.hasSynced !== true) {
      throw new Error(`no first sync in ${timeoutMs} ms; errors: ${this.errors.join('; ')}`);
    }
  }

  /** Opens a sync stream, and resolves when its rows are there. @returns gives the subscription up */
  async subscribe(
    stream: string,
    parameters: Record<string, unknown> | undefined,
    options: { readonly ttl?: number; readonly priority?: 0 | 1 | 2 | 3 } = {},
  ): Promise<() => void> {
    const subscription = await this.#db.syncStream(stream, parameters).subscribe(options);
    await subscription.waitForFirstSync(AbortSignal.timeout(PATIENCE_MS));
    return () => subscription.unsubscribe();
  }

  execute(sql: string, parameters: unknown[] = []): Promise<unknown> {
    return this.#db.execute(sql, parameters);
  }

  all<T>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    return this.#db.getAll<T>(sql, parameters);
  }

  buckets(): Promise<SdkBucket[]> {
    return this.all<SdkBucket>('SELECT name, last_op FROM ps_buckets ORDER BY name');
  }

  /** Local writes that the server has not been told of. */
  async pendingUploads(): Promise<number> {
    const [row] = await this.all<{ count: number }>('SELECT count(*) AS count FROM ps_crud');
    return row?.count ?? 0;
  }

  /** Polls until the query's first value is as expected. */
  async until(sql: string, expected: unknown, timeoutMs = PATIENCE_MS): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let value: unknown;
    while (Date.now() < deadline) {
      const [row] = await this.all<Record<string, unknown>>(sql);
      value = row === undefined ? undefined : Object.values(row)[0];
      if (value === expected) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(
      `${sql}: ${String(value)} instead of ${String(expected)} after ${timeoutMs} ms; errors: ${this.errors.join('; ')}`,
    );
  }

  disconnect(): Promise<void> {
    return this.#db.disconnect();
  }

  async close(): Promise<void> {
    await this.#db.disconnect();
    await this.#db.close();
    if (this.#temporaryFolder !== null) await rm(this.#temporaryFolder, { recursive: true, force: true });
  }
}
