/** The adapter: streams, their readers and writers, and write checkpoints, in one schema of a Postgres database. */
import { type Checkpoint, noFailpoints, type Position, type StreamId } from '@sluice/core';
import type {
  BucketStorage,
  ConfiguredRules,
  CopyWriter,
  SnapshotControl,
  SnapshotControlChange,
  StreamInfo,
  StreamReader,
  StreamWriter,
  WriteCheckpoint,
} from '@sluice/storage';
import {
  LEASE_MS_DEFAULT,
  POLL_MS_DEFAULT,
  POOL_SIZE_DEFAULT,
  type PostgresStorageConfig,
  type PostgresStorageTools,
} from './config.ts';
import { PostgresCopyWriter } from './copying/copy-writer.ts';
import { enterCopyWriter } from './fencing/copy-writers.ts';
import { Database } from './database.ts';
import { storageError } from './errors.ts';
import type { Fence } from './fencing/fence.ts';
import { type Holder, takeLease } from './fencing/lease.ts';
import { Listener } from './listener.ts';
import { migrate, requireMigrated } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import { type Names, namesOf } from './names.ts';
import { PostgresReader } from './reader.ts';
import { Session } from './fencing/session.ts';
import { resolveSettings } from './settings.ts';
import { ConnectionSql, type Sql } from './sql.ts';
import { createWriteCheckpoint, getWriteCheckpoints, requestWriteCheckpoint } from './sql/write-checkpoints.ts';
import { readCheckpointState } from './state-row.ts';
import {
  activate,
  controlSnapshot,
  createStream,
  dropStream,
  listStreams,
  putConfigured,
  putError,
  readConfigured,
} from './streams.ts';
import { Watched } from './watch.ts';
import { PostgresWriter, type WriterContext } from './writer.ts';

/** How long the listener waits for a sign of life. */
const ANSWER_MS = 10_000;

/** @throws SLU_T1206 – SLU_T1210 if it cannot be opened, SLU_T1202 if a newer program has been here */
export async function openPostgresStorage(
  config: PostgresStorageConfig,
  tools: PostgresStorageTools,
): Promise<BucketStorage> {
  const leaseMs = config.leaseMs ?? LEASE_MS_DEFAULT;
  const database = new Database(resolveSettings(config, leaseMs), config.poolSizeMax ?? POOL_SIZE_DEFAULT, tools);
  const names = namesOf(config);
  try {
    const client = await database.connect();
    try {
      const migrating = { names, migrations, logger: tools.logger };
      await (config.migrations === 'manual' ? requireMigrated(client, migrating) : migrate(client, migrating));
    } finally {
      await client.end();
    }
  } catch (error) {
    await database.close();
    throw storageError(error, database.where);
  }
  return new PostgresStorage(database, names, { leaseMs, pollMs: config.pollMs ?? POLL_MS_DEFAULT, ...tools });
}

interface StorageOptions extends PostgresStorageTools {
  readonly leaseMs: number;
  readonly pollMs: number;
}

class PostgresStorage implements BucketStorage {
  readonly #database: Database;
  readonly #names: Names;
  readonly #options: StorageOptions;
  readonly #listener: Listener;
  readonly #readers = new Map<StreamId, PostgresReader>();
  readonly #checkpoints = new Map<StreamId, Watched<Checkpoint | null>>();
  readonly #streams: Watched<string>;
  readonly #writers = new Set<Session>();

  constructor(database: Database, names: Names, options: StorageOptions) {
    this.#database = database;
    this.#names = names;
    this.#options = options;
    this.#listener = new Listener({
      names,
      connect: () => database.connect({ answerMs: ANSWER_MS }),
      onNews: (about) => this.#onNews(about),
      ...options,
    });
    this.#streams = this.#watched(
      async () => (await this.listStreams()).map(({ id, lifecycle }) => `${id} ${lifecycle}`).join(),
      (a, b) => a === b,
    );
  }

  async createStream(rules: string, createdAtMs: number, after?: StreamId | null): Promise<StreamInfo> {
    const wanted = { rules, createdAtMs, after };
    const stream = await this.#database.transact((sql) => createStream(sql, this.#names, wanted));
    this.#streams.refresh();
    return stream;
  }

  listStreams(): Promise<readonly StreamInfo[]> {
    return listStreams(this.#database, this.#names);
  }

  async activate(id: StreamId): Promise<void> {
    if (await this.#database.transact((sql) => activate(sql, this.#names, id))) this.#streams.refresh();
  }

  async reportError(id: StreamId, error: StreamInfo['error']): Promise<void> {
    await putError(this.#database, this.#names, id, error);
  }

  configuredRules(): Promise<readonly ConfiguredRules[]> {
    return readConfigured(this.#database, this.#names);
  }

  putConfiguredRules(process: string, hash: string | null): Promise<void> {
    return this.#database.transact((sql) => putConfigured(sql, this.#names, { process, hash }));
  }

  async dropStream(id: StreamId): Promise<void> {
    await this.#database.transact((sql) => dropStream(sql, this.#names, id));
    this.#checkpoints.get(id)?.stop();
    this.#checkpoints.delete(id);
    this.#readers.delete(id);
    this.#streams.refresh();
    this.#options.logger.info({ stream: id }, 'stream dropped');
  }

  async *watchStreams(signal: AbortSignal): AsyncIterable<void> {
    for await (const _ of this.#streams.watch(signal)) yield;
  }

  controlSnapshot(id: StreamId, changes: readonly SnapshotControlChange[]): Promise<SnapshotControl> {
    return this.#database.transact((sql) => controlSnapshot(sql, this.#names, id, changes));
  }

  reader(id: StreamId): StreamReader {
    let reader = this.#readers.get(id);
    if (reader === undefined) {
      reader = new PostgresReader(this.#database, this.#names, id, this.#checkpointOf(id));
      this.#readers.set(id, reader);
    }
    return reader;
  }

  async openWriter(id: StreamId, owner: string): Promise<StreamWriter> {
    const context = await this.#fenced((sql) => takeLease(sql, this.#names, this.#holder(id, owner)));
    return new PostgresWriter(context, () => this.#checkpointOf(id).refresh());
  }

  async openCopyWriter(id: StreamId, owner: string): Promise<CopyWriter> {
    return new PostgresCopyWriter(
      await this.#fenced((sql) => enterCopyWriter(sql, this.#names, this.#holder(id, owner))),
    );
  }

  #holder(stream: StreamId, owner: string): Holder {
    return { stream, owner, leaseMs: this.#options.leaseMs };
  }

  /** A connection of its own, which takes a right to write and goes on with it. What a broken one took dies with it. */
  #fenced(take: (sql: Sql) => Promise<Fence>): Promise<WriterContext> {
    const { where } = this.#database;
    const connect = () => this.#database.connect({ pipeline: true });
    return this.#database.again(async () => {
      const client = await connect();
      try {
        const fence = await take(new ConnectionSql(client));
        const onClosed = () => this.#writers.delete(session);
        const session = new Session({ ...this.#options, fence, where, connect, onClosed }, client);
        this.#writers.add(session);
        const failpoints = this.#options.failpoints ?? noFailpoints;
        return { ...this.#options, failpoints, session, names: this.#names, fence, reads: this.#database };
      } catch (error) {
        client.end().catch(() => undefined);
        throw error;
      }
    });
  }

  createWriteCheckpoint(user: string, head: Position): Promise<bigint> {
    return createWriteCheckpoint(this.#database, this.#names, user, head);
  }

  requestWriteCheckpoint(user: string, requested: bigint, head: Position): Promise<bigint> {
    return requestWriteCheckpoint(this.#database, this.#names, user, { id: requested, head });
  }

  writeCheckpoints(users: readonly string[]): Promise<ReadonlyMap<string, WriteCheckpoint>> {
    return getWriteCheckpoints(this.#database, this.#names, users);
  }

  /** Gives no lease back: that is for writers to do. */
  async close(): Promise<void> {
    for (const watched of this.#checkpoints.values()) watched.stop();
    this.#streams.stop();
    await this.#listener.close();
    for (const session of this.#writers) await session.close();
    await this.#database.close();
  }

  #onNews(about: string | null): void {
    if (about === null || about === 'streams') this.#streams.refresh();
    for (const [id, watched] of this.#checkpoints) {
      if (about === null || about === `${id}`) watched.refresh();
    }
  }

  #checkpointOf(id: StreamId): Watched<Checkpoint | null> {
    let watched = this.#checkpoints.get(id);
    if (watched === undefined) {
      watched = this.#watched(
        async () => (await readCheckpointState(this.#database, this.#names, id)).checkpoint,
        (a, b) => a?.opId === b?.opId && a?.position === b?.position,
      );
      this.#checkpoints.set(id, watched);
    }
    return watched;
  }

  #watched<T>(read: () => Promise<T>, same: (a: T, b: T) => boolean): Watched<T> {
    const onWatched = (isWatched: boolean) => {
      if (isWatched) this.#listener.start();
    };
    return new Watched({ ...this.#options, read, same, onWatched });
  }
}
