/** What a person can say about a storage in Postgres, and the bounds it works in. */
import type { Clock, Failpoints, Logger, Random, ServerKeys } from '@sluice/core';

/** The URI begins with `postgresql://`. */
export interface PostgresStorageConfig extends ServerKeys {
  /** All tables stand in this schema, which belongs to Sluice. Default `sluice`. */
  readonly schema?: string;
  /** Connections for reads, besides one for each stream that is written and one that listens. Default 8. */
  readonly poolSizeMax?: number;
  /** `manual`: an older schema is refused until `sluice migrate` was run. Default `automatic`. */
  readonly migrations?: 'automatic' | 'manual';
  /** How long a silent holder keeps a stream from others. Default 15 s. */
  readonly leaseMs?: number;
  readonly connectTimeoutMs?: number;
  /** How often is looked for changes that no notification told of. Default 2 s. */
  readonly pollMs?: number;
}

export interface PostgresStorageTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** For crash tests. Default none. */
  readonly failpoints?: Failpoints;
}

export const SCHEMA_DEFAULT = 'sluice';
export const LEASE_MS_DEFAULT = 15_000;
export const POLL_MS_DEFAULT = 2_000;
export const POOL_SIZE_DEFAULT = 8;

/** Bytes of the data of one stored run of ops: with its other columns it fills a page of 8 KiB and is not cut up. */
export const OP_RUN_BYTES = 8_000;
/** Larger runs (of one large op) are fetched one by one. */
export const RUN_BYTES_AT_ONCE = 64 * 1024;

/** Flushes whose touched buckets and lookups are remembered, and how many of either one flush may name. */
export const CHANGE_LOG_FLUSHES = 2_000;
export const CHANGE_LOG_NAMES = 1_000;
