/**
 * What one connection's client was told, how far each of its buckets was sent, and what is still owed to it. Pure
 * bookkeeping: no storage, no clock.
 */
import { type BucketName, invariant, type OpId } from '@sluice/core';
import {
  checkpointDiffLine,
  checkpointLine,
  type CheckpointTarget,
  difference,
  type ToldBucket,
} from './checkpoint-diff.ts';
import type { CheckpointDiffLine, CheckpointLine, StreamEntry } from './protocol.ts';

export interface OwedBucket {
  readonly bucket: BucketName;
  readonly priority: number;
  readonly after: OpId;
}

export class ClientState {
  readonly #told = new Map<BucketName, ToldBucket>();
  /** Send only ops behind these. A bucket without an entry starts at 0. */
  readonly #positions: Map<BucketName, OpId>;
  readonly #owed = new Set<BucketName>();
  #opId: OpId | null = null;
  #writeCheckpoint: bigint | null = null;
  #completed = true;

  /** @param positions what the client says it holds */
  constructor(positions: ReadonlyMap<BucketName, OpId>) {
    this.#positions = new Map(positions);
  }

  get buckets(): ReadonlyMap<BucketName, ToldBucket> {
    return this.#told;
  }

  /** Op id of the last line; null before the first. */
  get opId(): OpId | null {
    return this.#opId;
  }

  get writeCheckpoint(): bigint | null {
    return this.#writeCheckpoint;
  }

  /**
   * Moves on to a newer checkpoint.
   * @returns the line that says so; null if the client would learn nothing, and nothing has changed here
   */
  tell(target: CheckpointTarget, streams: readonly StreamEntry[]): CheckpointLine | CheckpointDiffLine | null {
    const first = this.#opId === null;
    invariant(this.#opId === null || target.opId >= this.#opId, 'client state: a checkpoint went back');
    invariant(!first || target.membership !== null, 'client state: the first checkpoint needs all buckets');
    const change = difference(this.#told, target);
    const news =
      first ||
      !this.#completed ||
      change.updated.length > 0 ||
      change.removed.length > 0 ||
      target.writeCheckpoint !== this.#writeCheckpoint;
    if (!news) return null;

    for (const bucket of change.removed) this.#drop(bucket);
    for (const bucket of change.updated) {
      this.#moveOn(bucket.bucket, target.unchangedUpTo ?? null);
      this.#told.set(bucket.bucket, bucket);
      this.#owed.add(bucket.bucket);
    }
    if (first) this.#forgetStrangers();
    this.#opId = target.opId;
    this.#writeCheckpoint = target.writeCheckpoint;
    this.#completed = false;
    return first ? checkpointLine(target, change.updated, streams) : checkpointDiffLine(target, change);
  }

  /** A bucket of which nothing was owed is as complete where it had not changed yet: clients that wait want the same. */
  #moveOn(bucket: BucketName, unchangedUpTo: OpId | null): void {
    if (unchangedUpTo === null || !this.#told.has(bucket) || this.#owed.has(bucket)) return;
    this.#positions.set(bucket, Math.max(unchangedUpTo, this.#positions.get(bucket) ?? 0));
  }

  #drop(bucket: BucketName): void {
    this.#told.delete(bucket);
    this.#positions.delete(bucket);
    this.#owed.delete(bucket);
  }

  /** The client deletes buckets that its first checkpoint does not list: should they come back, they start at 0. */
  #forgetStrangers(): void {
    for (const bucket of this.#positions.keys()) if (!this.#told.has(bucket)) this.#positions.delete(bucket);
  }

  /** What must be sent before the checkpoint is complete, highest priority (lowest number) first. */
  owed(): readonly OwedBucket[] {
    const opId = this.#opId ?? 0;
    const owed: OwedBucket[] = [];
    for (const bucket of this.#owed) {
      const after = this.#positions.get(bucket) ?? 0;
      const told = this.#told.get(bucket) as ToldBucket;
      // Behind the checkpoint already, or nothing in it.
      if (after < opId && told.count > 0) owed.push({ bucket, priority: told.priority, after });
    }
    return owed.sort((a, b) => a.priority - b.priority);
  }

  /** Ops up to `position` have been sent. */
  sent(bucket: BucketName, position: OpId): void {
    this.#positions.set(bucket, position);
  }

  /** All ops of the bucket up to the last line's checkpoint have been sent. */
  settled(bucket: BucketName): void {
    invariant(this.#opId !== null, 'client state: settled before a checkpoint');
    this.#positions.set(bucket, Math.max(this.#opId, this.#positions.get(bucket) ?? 0));
    this.#owed.delete(bucket);
  }

  /** Everything owed has been sent. */
  complete(): void {
    for (const bucket of this.#owed) this.settled(bucket);
    this.#completed = true;
  }
}
