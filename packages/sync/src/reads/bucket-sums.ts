/**
 * Bucket sums as of a checkpoint, shared by the connections of a process: a bucket of many clients is read once, and its
 * sum holds until a checkpoint changes the bucket.
 */
import type { BucketName, OpId } from '@sluice/core';
import type { BucketSum, StreamReader } from '@sluice/storage';
import { TurnBatches } from './turn-batches.ts';

export interface BucketSumsOptions {
  readonly reader: Pick<StreamReader, 'bucketSums'>;
  /** Whether the bucket may have changed after `asOf`, up to the newest checkpoint. */
  readonly mayHaveChanged: (bucket: BucketName, asOf: OpId) => boolean;
  /** Of what is kept, about. */
  readonly bytesMax?: number;
}

interface Kept {
  readonly opId: OpId;
  readonly sum: BucketSum;
}

const BYTES_MAX = 16 * 1024 * 1024;
/** Of an entry, beside its name. */
const ENTRY_BYTES = 200;
const READ_BUCKETS_MAX = 5_000;

export class BucketSums {
  readonly #options: BucketSumsOptions;
  readonly #reads: TurnBatches<BucketSum>;
  /** In the order in which they were read, oldest first. */
  readonly #kept = new Map<BucketName, Kept>();
  #keptBytes = 0;

  constructor(options: BucketSumsOptions) {
    this.#options = options;
    this.#reads = new TurnBatches((opId, buckets) => this.#read(opId, buckets), READ_BUCKETS_MAX);
  }

  /** Sums of all the buckets at one checkpoint. */
  async at(opId: OpId, buckets: readonly BucketName[]): Promise<Map<BucketName, BucketSum>> {
    const sums = new Map<BucketName, BucketSum>();
    const missing: BucketName[] = [];
    for (const bucket of buckets) {
      const kept = this.#kept.get(bucket);
      if (kept !== undefined && this.#holds(bucket, kept, opId)) sums.set(bucket, kept.sum);
      else missing.push(bucket);
    }
    if (missing.length > 0) for (const [bucket, sum] of await this.#reads.ask(opId, missing)) sums.set(bucket, sum);
    return sums;
  }

  #holds(bucket: BucketName, kept: Kept, opId: OpId): boolean {
    return kept.opId === opId || !this.#options.mayHaveChanged(bucket, Math.min(kept.opId, opId));
  }

  async #read(opId: OpId, buckets: readonly BucketName[]): Promise<ReadonlyMap<BucketName, BucketSum>> {
    const sums = await this.#options.reader.bucketSums(opId, buckets);
    for (const sum of sums) this.#keep(opId, sum);
    return new Map(sums.map((sum) => [sum.bucket, sum]));
  }

  #keep(opId: OpId, sum: BucketSum): void {
    const before = this.#kept.get(sum.bucket);
    if (before !== undefined && before.opId > opId) return;
    if (before !== undefined) this.#kept.delete(sum.bucket);
    else this.#keptBytes += entryBytes(sum.bucket);
    this.#kept.set(sum.bucket, { opId, sum });
    for (const bucket of this.#kept.keys()) {
      if (this.#keptBytes <= (this.#options.bytesMax ?? BYTES_MAX)) return;
      this.#kept.delete(bucket);
      this.#keptBytes -= entryBytes(bucket);
    }
  }
}

function entryBytes(bucket: BucketName): number {
  return ENTRY_BYTES + bucket.length * 2;
}
