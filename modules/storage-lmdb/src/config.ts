import type { Clock, Failpoints, Logger } from '@sluice/core';
import type { IndexLimits } from './record-index/index-limits.ts';

export interface LmdbStorageOptions {
  /** Directory of the database files; made if it is not there. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes the database may grow to; flushes beyond it fail with SLU_T1203. Default 256 GiB, of which none is allotted in advance. */
  readonly mapSizeBytes?: number;
  /** How often other processes' writes are looked for. Default 200 ms. */
  readonly pollMs?: number;
  /** For crash tests. Default none. */
  readonly failpoints?: Failpoints;
  /** For tests with few rows. */
  readonly indexLimits?: IndexLimits;
}

export const MAP_SIZE_BYTES_DEFAULT = 256 * 2 ** 30;
export const POLL_MS_DEFAULT = 200;

/** Rises whenever keys or values on disk change their meaning. */
export const FORMAT_VERSION = 3;
/** Those that are raised to it as they are opened: 2 had no journal of the index. */
export const FORMATS_READ: readonly number[] = [2, 3];

/**
 * Bytes of one stored run of ops: eight pages less LMDB's header. Larger runs make writes cheaper and limited reads
 * dearer (docs/decisions/0004-lmdb-layout.md).
 */
export const OP_RUN_BYTES = 8 * 4096 - 16;
/** Bytes of one stored group of records: one page less LMDB's header, since an update rewrites the group. */
export const RECORD_GROUP_BYTES = 4096 - 16;
/** Records of one group; a power of two, because a record's number is `group * GROUP_SLOTS + slot`. */
export const GROUP_SLOTS = 64;

/** Flushes whose touched buckets and lookups are remembered, and how many of either one flush may name. */
export const CHANGE_LOG_FLUSHES = 2000;
export const CHANGE_LOG_NAMES = 1000;
