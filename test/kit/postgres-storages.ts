/** Storages in Postgres that tests of the adapter itself open: a database for each test, and all closed behind it. */
import { type Relation, silentLogger, systemClock, systemRandom } from '@sluice/core';
import type { BucketStorage, StreamWriter, TableState } from '@sluice/storage';
import { openPostgresStorage, type PostgresStorageConfig } from '@sluice/storage-postgres';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from './postgres.ts';

export const storageTools = { clock: systemClock, random: systemRandom, logger: silentLogger };

const TODOS: Relation = {
  sourceId: '1',
  connectionTag: 'default',
  schema: 'public',
  name: 'todos',
  replicaIdentity: 'default',
  columns: [],
};

export interface StorageWorld {
  readonly postgres: TestPostgres;
  /** Of the running test. */
  readonly database: TestDatabase;
  config(more?: Partial<PostgresStorageConfig>): PostgresStorageConfig;
  /** Closed when the test ends, or by `close`. */
  open(more?: Partial<PostgresStorageConfig>): Promise<BucketStorage>;
  close(storage: BucketStorage): Promise<void>;
}

/** To be called once at the top of a test file. @param base of all configurations */
export function useStorages(base: Partial<PostgresStorageConfig> = {}): StorageWorld {
  const opened = new Set<BucketStorage>();
  const running: { postgres: TestPostgres | null; database: TestDatabase | null } = { postgres: null, database: null };
  const now = <T>(value: T | null): T => {
    if (value === null) throw new Error('no test is running');
    return value;
  };
  const world: StorageWorld = {
    get postgres() {
      return now(running.postgres);
    },
    get database() {
      return now(running.database);
    },
    config: (more = {}) => ({ uri: world.database.uri, sslmode: 'disable', poolSizeMax: 2, ...base, ...more }),
    open: async (more) => {
      const storage = await openPostgresStorage(world.config(more), storageTools);
      opened.add(storage);
      return storage;
    },
    close: async (storage) => {
      opened.delete(storage);
      await storage.close();
    },
  };
  beforeAll(async () => {
    running.postgres = await startPostgres();
  });
  beforeEach(async () => {
    running.database = await world.postgres.createDatabase();
  });
  afterEach(async () => {
    for (const storage of opened) await world.close(storage);
  });
  afterAll(() => world.postgres.stop());
  return world;
}

/** A table that nothing has to be copied of, in a stream whose gates are open. */
export async function copiedTable(writer: StreamWriter): Promise<TableState> {
  const table = await writer.addTable(TODOS, [0]);
  await writer.planTable(table, { hash: '', strategy: '' }, []);
  await writer.markTableSnapshotDone(table.id, table.generation, '01');
  await writer.markAllSnapshotDone('01');
  return table;
}

/** A table with one task that nobody has begun. */
export async function uncopiedTable(writer: StreamWriter): Promise<TableState> {
  const table = await writer.addTable(TODOS, [0]);
  const task = { index: 0, range: null, rowsEstimate: 1, bytesEstimate: 1 };
  await writer.planTable(table, { hash: '', strategy: '' }, [task]);
  return table;
}
