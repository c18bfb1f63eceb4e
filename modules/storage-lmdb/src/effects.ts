/**
 * What a flush adds beside records: ops in runs, and lookups. Packed before the transaction, which alone knows the op ids.
 * Ordinals count the ops and lookups of the flush: 0, 1, 2, …
 */
import type { BucketName, OpId, StreamId } from '@sluice/core';
import { type BucketHead, getBucketHead, putBucketHead } from './buckets.ts';
import { logChanges } from './changes.ts';
import { bucketKey, opKey } from './keys.ts';
import { type LookupEntry, putLookup } from './lookups.ts';
import type { PackedRun } from './op-runs.ts';
import type { Schema } from './schema.ts';
import { getCounters, putCounters } from './streams.ts';

/** Of one bucket. */
export interface BucketOps {
  readonly runs: readonly PackedRun[];
  readonly checksum: number;
  readonly count: number;
  readonly lastOrdinal: number;
}

export interface Effects {
  /** Op ids that the flush takes. */
  readonly ordinals: number;
  readonly buckets: ReadonlyMap<BucketName, BucketOps>;
  readonly lookups: readonly LookupEntry[];
}

/** Inside the transaction. @returns the new head */
export function writeEffects(schema: Schema, stream: StreamId, headOp: OpId, effects: Effects): OpId {
  if (effects.ordinals === 0) return headOp;
  const first = headOp + 1;
  const newHead = headOp + effects.ordinals;
  const counters = getCounters(schema, stream);
  let numbers = counters.buckets;
  for (const [name, ops] of effects.buckets) {
    const key = bucketKey(stream, name);
    const head: BucketHead = getBucketHead(schema, key) ?? { number: ++numbers, checksum: 0, count: 0, lastOp: 0 };
    for (const run of ops.runs) schema.ops.putSync(opKey(stream, head.number, first + run.lastOrdinal), run.bytes);
    putBucketHead(schema, key, {
      number: head.number,
      checksum: (head.checksum + ops.checksum) | 0,
      count: head.count + ops.count,
      lastOp: first + ops.lastOrdinal,
    });
  }
  if (numbers !== counters.buckets) putCounters(schema, stream, { ...counters, buckets: numbers });
  for (const entry of effects.lookups) putLookup(schema, stream, { ...entry, opId: first + entry.ordinal });
  const lookups = new Set(effects.lookups.map((entry) => entry.key));
  logChanges(schema, { stream, headOp: newHead }, { buckets: effects.buckets, lookups });
  return newHead;
}
