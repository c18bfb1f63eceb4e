/** From the type names of a configuration to the modules that implement them. The only file that names modules. */
import type { Clock, Failpoints, Logger, Random } from '@sluice/core';
import type { ChangeSource } from '@sluice/replication';
import type { PostgresSourceConfig } from '@sluice/source-postgres';
import type { BucketStorage } from '@sluice/storage';
import type { PostgresStorageConfig } from '@sluice/storage-postgres';
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
