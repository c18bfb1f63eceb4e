/** From the type names of a configuration to the modules that implement them. The only file that names modules. */
import {
  type Clock,
  type Failpoints,
  type Logger,
  type Random,
  SluiceError,
  systemClock,
  systemRandom,
} from '@sluice/core';
import type { ChangeSource } from '@sluice/replication';
import type { PostgresSourceConfig } from '@sluice/source-postgres';
import type { BucketStorage } from '@sluice/storage';
import type { NewEpoch, PostgresStorageConfig } from '@sluice/storage-postgres';
import type { SourceSchema } from '@sluice/sync-rules';
import type { SnapshotConfig, StorageConfig } from './config/resolve.ts';
import type { RawConnection } from './config/schema.ts';

export interface ModuleTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly failpoints: Failpoints;
}

/** Modules are loaded when they are needed: who validates rules opens no database. */
export async function openStorage(config: StorageConfig, tools: ModuleTools): Promise<BucketStorage> {
  if (config.type === 'postgresql') {
    const { openPostgresStorage } = await import('@sluice/storage-postgres');
    return openPostgresStorage(postgresStorageConfig(config.settings), tools);
  }
  const { openLmdbStorage } = await import('@sluice/storage-lmdb');
  const { path, mapSizeBytes } = config;
  const { clock, logger, failpoints } = tools;
  return openLmdbStorage({ path, clock, logger, failpoints, ...(mapSizeBytes === null ? {} : { mapSizeBytes }) });
}

/** @returns how many steps were taken */
export async function migrateStorage(config: StorageConfig, logger: Logger): Promise<number> {
  const { migratePostgresStorage } = await import('@sluice/storage-postgres');
  return migratePostgresStorage(postgresStorageConfig(requirePostgres(config)), { ...SYSTEM, logger });
}

export async function beginStorageEpoch(config: StorageConfig, logger: Logger): Promise<NewEpoch> {
  const { beginEpoch } = await import('@sluice/storage-postgres');
  return beginEpoch(postgresStorageConfig(requirePostgres(config)), { ...SYSTEM, logger });
}

const SYSTEM = { clock: systemClock, random: systemRandom };

function requirePostgres(config: StorageConfig): PostgresStorageSettings {
  if (config.type === 'postgresql') return config.settings;
  throw new SluiceError('SLU_C0003', `this is for storage of type postgresql, not ${config.type}`);
}

type PostgresStorageSettings = Extract<StorageConfig, { type: 'postgresql' }>['settings'];

function postgresStorageConfig(settings: PostgresStorageSettings): PostgresStorageConfig {
  const { client_certificate, client_private_key, max_pool_size, lease_seconds, ...same } = settings;
  return {
    ...same,
    ...(client_certificate === undefined ? {} : { clientCertificate: client_certificate }),
    ...(client_private_key === undefined ? {} : { clientPrivateKey: client_private_key }),
    ...(max_pool_size === undefined ? {} : { poolSizeMax: max_pool_size }),
    ...(lease_seconds === undefined ? {} : { leaseMs: lease_seconds * 1000 }),
  };
}

/** Makes sources of one connection, each with a slot name of its own. */
export type SourceFactory = (slotName: string) => ChangeSource;

export async function sourceFactory(
  connection: RawConnection,
  planStrategy: SnapshotConfig['strategy'],
  tools: ModuleTools,
): Promise<SourceFactory> {
  const { createPostgresSource } = await import('@sluice/source-postgres');
  const config = postgresConfig(connection);
  return (slotName) => createPostgresSource({ ...config, planStrategy, slotName }, tools);
}

/** Tables and columns of a source, for checking rules. */
export async function readSourceSchema(connection: RawConnection, logger: Logger): Promise<SourceSchema> {
  const { readSchema } = await import('@sluice/source-postgres');
  return readSchema(postgresConfig(connection), logger);
}

function postgresConfig(connection: RawConnection): PostgresSourceConfig {
  const {
    type: _type,
    id: _id,
    client_certificate,
    client_private_key,
    slot_name: _slot,
    publication_name,
    ...same
  } = connection;
  return {
    ...same,
    ...(client_certificate === undefined ? {} : { clientCertificate: client_certificate }),
    ...(client_private_key === undefined ? {} : { clientPrivateKey: client_private_key }),
    ...(publication_name === undefined ? {} : { publicationName: publication_name }),
  };
}
