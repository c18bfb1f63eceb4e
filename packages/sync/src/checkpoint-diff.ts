/**
 * From what a client was told and what is true now to the line that leads from one to the other. Pure.
 */
import type { BucketName, OpId } from '@sluice/core';
import type { BucketSum } from '@sluice/storage';
import type { BucketEntry, BucketReason, CheckpointDiffLine, CheckpointLine, StreamEntry } from './protocol.ts';

/** A bucket of one client, as its request leads to it. */
export interface Membership {
  readonly bucket: BucketName;
  readonly priority: number;
  readonly reasons: readonly BucketReason[];
}

/** What one line said of a bucket. */
export type ToldBucket = BucketEntry;

export interface CheckpointTarget {
  readonly opId: OpId;
  readonly writeCheckpoint: bigint | null;
  /** All buckets of the client; null if they are the ones it was told last. */
  readonly membership: readonly Membership[] | null;
  /** At least the sums that may have changed, and those of buckets that are new. */
  readonly sums: ReadonlyMap<BucketName, BucketSum>;
  /** Since the client was told last, none of its buckets had changed up to here; null where that is not known. */
  readonly unchangedUpTo?: OpId | null;
}

export interface Difference {
  readonly updated: readonly ToldBucket[];
  readonly removed: readonly BucketName[];
}

/** @param told what the client has; each of its buckets without a new sum is taken as unchanged */
export function difference(told: ReadonlyMap<BucketName, ToldBucket>, target: CheckpointTarget): Difference {
  if (target.membership === null) return { updated: changedSums(told, target.sums), removed: [] };
  const updated: ToldBucket[] = [];
  const kept = new Set<BucketName>();
  for (const member of target.membership) {
    kept.add(member.bucket);
    const before = told.get(member.bucket);
    const sum = target.sums.get(member.bucket) ?? before;
    const now = entry(member, sum ?? { bucket: member.bucket, checksum: 0, count: 0 });
    if (before === undefined || !sameEntry(before, now)) updated.push(now);
  }
  const removed = [...told.keys()].filter((bucket) => !kept.has(bucket));
  return { updated, removed };
}

function changedSums(
  told: ReadonlyMap<BucketName, ToldBucket>,
  sums: ReadonlyMap<BucketName, BucketSum>,
): ToldBucket[] {
  const updated: ToldBucket[] = [];
  for (const [bucket, sum] of sums) {
    const before = told.get(bucket);
    if (before === undefined || (before.checksum === sum.checksum && before.count === sum.count)) continue;
    updated.push({ ...before, checksum: sum.checksum, count: sum.count });
  }
  return updated;
}

function entry(member: Membership, sum: { readonly checksum: number; readonly count: number }): ToldBucket {
  return {
    bucket: member.bucket,
    checksum: sum.checksum,
    count: sum.count,
    priority: member.priority,
    subscriptions: member.reasons,
  };
}

function sameEntry(a: ToldBucket, b: ToldBucket): boolean {
  return (
    a.checksum === b.checksum &&
    a.count === b.count &&
    a.priority === b.priority &&
    a.subscriptions.length === b.subscriptions.length &&
    a.subscriptions.every((reason, index) => sameReason(reason, b.subscriptions[index] as BucketReason))
  );
}

function sameReason(a: BucketReason, b: BucketReason): boolean {
  return 'sub' in a ? 'sub' in b && a.sub === b.sub : 'default' in b && a.default === b.default;
}

export function checkpointLine(
  target: CheckpointTarget,
  buckets: readonly ToldBucket[],
  streams: readonly StreamEntry[],
): CheckpointLine {
  return { checkpoint: { ...head(target), buckets, streams } };
}

export function checkpointDiffLine(target: CheckpointTarget, change: Difference): CheckpointDiffLine {
  return {
    checkpoint_diff: { ...head(target), updated_buckets: change.updated, removed_buckets: change.removed },
  };
}

/** The write checkpoint is repeated in every line: a line without it takes it back. */
function head(target: CheckpointTarget): { last_op_id: string; write_checkpoint?: string } {
  const last_op_id = String(target.opId);
  return target.writeCheckpoint === null
    ? { last_op_id }
    : { last_op_id, write_checkpoint: String(target.writeCheckpoint) };
}
