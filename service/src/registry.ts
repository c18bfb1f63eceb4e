/** From the type names of a configuration to the modules that implement them. The only file that names modules. */
import type { Clock, Failpoints, Logger, Random } from '@sluice/core';
import type { ChangeSource } from '@sluice/replication';
import type { PostgresSourceConfig } from '@sluice/source-postgres';
import type { BucketStorage } from '@sluice/storage';
import type { SourceSchema } from '@sluice/sync-rules';
import type { StorageConfig } from './config/resolve.ts';
import type { RawConnection } from './config/schema.ts';

export interface ModuleTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly failpoints: Failpoints;
}

/** Modules are loaded when they are needed: who validates rules opens no database. */
export async function openStorage(
  config: StorageConfig,
  { clock, logger, failpoints }: ModuleTools,
): Promise<BucketStorage> {
  const { openLmdbStorage } = await import('@sluice/storage-lmdb');
  const { path, mapSizeBytes } = config;
  return openLmdbStorage({
    path,
    clock,
    logger,
    failpoints,
    ...(mapSizeBytes === null ? {} : { mapSizeBytes }),
  });
}

/** Makes sources of one connection, each with a slot name of its own. */
export type SourceFactory = (slotName: string) => ChangeSource;

export async function sourceFactory(connection: RawConnection, tools: ModuleTools): Promise<SourceFactory> {
  const { createPostgresSource } = await import('@sluice/source-postgres');
  const config = postgresConfig(connection);
  return (slotName) => createPostgresSource({ ...config, slotName }, tools);
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
