/** Where a service of the crash tests keeps its buckets: how it is told so, and how the test reads it while it is dead. */
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import type { BucketStorage } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { openPostgresStorage } from '@sluice/storage-postgres';
import type { TestPostgres } from './postgres.ts';

export type StorageKind = 'lmdb' | 'postgresql';

export interface CrashStorage {
  /** The `storage` key of the configuration; null for what the kit writes by itself. */
  readonly config: Readonly<Record<string, unknown>> | null;
  /** @param path of the service's own storage directory */
  open(path: string): Promise<BucketStorage>;
  /** The database to be dropped after the run, if it has one. */
  readonly database: string | null;
}

function openLmdb(path: string): Promise<BucketStorage> {
  return openLmdbStorage({ path, clock: systemClock, logger: silentLogger });
}

/** A database of its own on the server of the source, or the directory of the service. */
export async function crashStorage(kind: StorageKind, postgres: TestPostgres): Promise<CrashStorage> {
  if (kind === 'lmdb') return { config: null, open: openLmdb, database: null };
  const { name, uri } = await postgres.createDatabase();
  const settings = { uri, sslmode: 'disable' } as const;
  const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
  return {
    config: { type: 'postgresql', ...settings },
    open: () => openPostgresStorage(settings, tools),
    database: name,
  };
}
