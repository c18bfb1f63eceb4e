/** How to open each adapter for a test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import { createMemoryStorage, type MemoryStorage } from '@sluice/storage';
import type { OpenedStorage } from '@sluice/storage/conformance';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { openPostgresStorage, type PostgresStorageConfig } from '@sluice/storage-postgres';
import { CommitFaults } from '../kit/commit-faults.ts';
import { seededRandom } from '../kit/seeded-random.ts';
import { testSeed } from '../kit/size.ts';
import { SMALL_INDEX } from '../kit/small-index.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';

export async function openMemory(): Promise<OpenedStorage> {
  return memory(createMemoryStorage());
}

function memory(storage: MemoryStorage): OpenedStorage {
  return { storage, reopen: async () => memory(storage.afterCrash()), cleanup: async () => {} };
}

export async function openLmdb(): Promise<OpenedStorage> {
  return lmdb(mkdtempSync(join(tmpdir(), 'sluice-lmdb-')));
}

async function lmdb(path: string): Promise<OpenedStorage> {
  const storage = await openLmdbStorage({
    path,
    clock: systemClock,
    logger: silentLogger,
    pollMs: 20,
    indexLimits: SMALL_INDEX,
  });
  return {
    storage,
    // Closing gives no lease back: to the next one it looks like a death.
    reopen: async () => {
      await storage.close();
      return lmdb(path);
    },
    cleanup: async () => {
      await storage.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Opens Postgres storages, each in a schema of its own, on one server that is started for the first of them. */
export class PostgresStorages {
  #server: Promise<{ readonly postgres: TestPostgres; readonly database: TestDatabase }> | null = null;
  #opened = 0;

  readonly open = async (): Promise<OpenedStorage> => {
    const { database } = await this.server();
    const schema = `storage_${++this.#opened}`;
    return this.#open(database, this.#config(database, schema));
  };

  /**
   * The same, disturbed from the moment it has a writer: connections break, some of them in the middle of a commit, which
   * then has happened or not; and one write in fifty is refused as a serialization failure. Making a stream is not: it is
   * its caller's to do again if the answer is lost.
   */
  readonly openDisturbed = async (): Promise<OpenedStorage> => {
    const { postgres, database } = await this.server();
    const schema = `storage_${++this.#opened}`;
    const target = { host: '127.0.0.1', port: postgres.port };
    const faults = await CommitFaults.start({
      target,
      random: seededRandom(testSeed).next,
      unsent: 0.04,
      unanswered: 0.06,
      cut: 0.003,
    });
    const opened = await this.#open(database, { ...this.#config(database, schema), port: faults.port });
    await database.query(`
      create function ${schema}.refuse() returns trigger language plpgsql as $$
      begin
        if random() < 0.02 then raise exception 'refused by the test' using errcode = '40001'; end if;
        return new;
      end $$;
      create trigger refuse before update on ${schema}.stream_states
        for each row when (new.seq > old.seq) execute function ${schema}.refuse();
      create trigger refuse before update on ${schema}.copy_writers
        for each row when (new.seq > old.seq) execute function ${schema}.refuse()`);
    const openWriter = opened.storage.openWriter.bind(opened.storage);
    opened.storage.openWriter = async (...args) => {
      const writer = await openWriter(...args);
      faults.begin();
      return writer;
    };
    const cleanup = async () => {
      faults.end();
      await opened.cleanup();
      await faults.stop();
    };
    // A short run may miss one kind.
    const wasDisturbed = () => faults.counts.unsent + faults.counts.unanswered + faults.counts.cut > 3;
    return { ...opened, cleanup, wasDisturbed };
  };

  server(): Promise<{ readonly postgres: TestPostgres; readonly database: TestDatabase }> {
    this.#server ??= startPostgres().then(async (postgres) => ({
      postgres,
      database: await postgres.createDatabase(),
    }));
    return this.#server;
  }

  async stop(): Promise<void> {
    const server = await this.#server;
    await server?.postgres.stop();
  }

  #config({ uri }: TestDatabase, schema: string): PostgresStorageConfig {
    return { uri, sslmode: 'disable', schema, pollMs: 200, poolSizeMax: 3 };
  }

  async #open(database: TestDatabase, config: PostgresStorageConfig): Promise<OpenedStorage> {
    const storage = await openPostgresStorage(config, TOOLS);
    return {
      storage,
      // Closing gives no lease back, but ends the writer's session: to the next one it looks like a death.
      reopen: async () => {
        await storage.close();
        return this.#open(database, config);
      },
      cleanup: async () => {
        await storage.close();
        await database.query(`drop schema ${config.schema} cascade`);
      },
    };
  }
}

const TOOLS = { clock: systemClock, random: systemRandom, logger: silentLogger };
