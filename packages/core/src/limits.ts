/** Every bound of the product, in one place, with the relations between them asserted. Units are in the names. */
import { invariant } from './assert.ts';

export const limits = {
  /** JSON of one synced row; larger rows are left out and reported. */
  rowBytesMax: 15 * 1024 * 1024,
  /** Bytes of decoded changes and copied rows that may wait for a flush, stream and snapshots together. */
  pendingBytesMax: 96 * 1024 * 1024,
  /** Part of `pendingBytesMax` that snapshots may never take from the stream. */
  streamReservedBytes: 32 * 1024 * 1024,
  /** One storage transaction of the stream. */
  streamFlushBytesMax: 8 * 1024 * 1024,
  /**
   * What one task of a copy holds that its stored cursor does not cover, and reads again after a crash. Half of it is one
   * storage transaction, which is under way while the other half is gathered.
   */
  snapshotChunkBytesMax: 8 * 1024 * 1024,
  /** Buckets of one connection. */
  bucketsPerConnectionMax: 1000,
  /** Parameter sets found for one connection at one checkpoint. */
  parameterResultsMax: 1000,
  /** Row data of one `data` line. */
  dataLineBytesMax: 1024 * 1024,
  /** Ops of one `data` line. */
  dataLineOpsMax: 1000,
  /** Op bodies that all downloads of a process together hold in memory, about. */
  downloadBytesMax: 64 * 1024 * 1024,
  /** Streams one process serves at once. */
  connectionsMax: 2000,
  /** Request body of `/sync/stream`: a client lists all its buckets. */
  requestBodyBytesMax: 4 * 1024 * 1024,
} as const;

invariant(limits.streamReservedBytes < limits.pendingBytesMax, 'limits: the stream reserve exceeds the budget');
invariant(4 * limits.streamFlushBytesMax <= limits.streamReservedBytes, 'limits: the stream exceeds its reserve');
