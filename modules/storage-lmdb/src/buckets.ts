/** One row per bucket: `u32 number | i32 checksum | f64 count | f64 last op`, sums over all its ops, written or not yet published. */
import type { OpId } from '@sluice/core';
import type { Schema } from './schema.ts';

export interface BucketHead {
  readonly number: number;
  readonly checksum: number;
  readonly count: number;
  readonly lastOp: OpId;
}

export function getBucketHead({ buckets }: Schema, key: Buffer): BucketHead | null {
  const bytes = buckets.getBinaryFast(key);
  if (bytes === undefined) return null;
  return {
    number: bytes.readUInt32LE(0),
    checksum: bytes.readInt32LE(4),
    count: bytes.readDoubleLE(8),
    lastOp: bytes.readDoubleLE(16),
  };
}

export function putBucketHead({ buckets }: Schema, key: Buffer, head: BucketHead): void {
  const bytes = Buffer.allocUnsafe(24);
  bytes.writeUInt32LE(head.number, 0);
  bytes.writeInt32LE(head.checksum, 4);
  bytes.writeDoubleLE(head.count, 8);
  bytes.writeDoubleLE(head.lastOp, 16);
  buckets.putSync(key, bytes);
}
