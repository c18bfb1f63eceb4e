/**
 * Bucket sums as of a checkpoint, shared by the connections of a process: when a bucket of many clients changes, its sum
 * is read once.
 */
import type { BucketName, OpId } from '@sluice/core';
import type { BucketSum, StreamReader } from '@sluice/storage';

interface Cached {
  readonly opId: OpId;
  readonly sum: BucketSum | Promise<BucketSum>;
}

const CACHED_BUCKETS_MAX = 20_000;
const SHARED_WHILE_READING_MAX = 32;

export class BucketSums {
  readonly #reader: Pick<StreamReader, 'bucketSums'>;
  /** The sum of each bucket at the newest checkpoint it was asked for. */
  #cache = new Map<BucketName, Cached>();

  constructor(reader: Pick<StreamReader, 'bucketSums'>) {
    this.#reader = reader;
  }

  /** Sums of all the buckets at one checkpoint. */
  async at(opId: OpId, buckets: readonly BucketName[]): Promise<Map<BucketName, BucketSum>> {
    const sums = new Map<BucketName, BucketSum>();
    const waiting: Promise<BucketSum>[] = [];
    const missing: BucketName[] = [];
    for (const bucket of buckets) {
      const cached = this.#cache.get(bucket);
      if (cached?.opId !== opId) missing.push(bucket);
      else if (cached.sum instanceof Promise) waiting.push(cached.sum);
      else sums.set(bucket, cached.sum);
    }
    if (missing.length > 0) for (const sum of await this.#read(opId, missing)) sums.set(sum.bucket, sum);
    if (waiting.length > 0) for (const sum of await Promise.all(waiting)) sums.set(sum.bucket, sum);
    return sums;
  }

  async #read(opId: OpId, buckets: readonly BucketName[]): Promise<readonly BucketSum[]> {
    if (this.#cache.size + buckets.length > CACHED_BUCKETS_MAX) this.#cache = new Map();
    // One read for the batch. Of many buckets (a first checkpoint) nobody else is likely to wait for the same ones now.
    const reading = this.#reader.bucketSums(opId, buckets);
    if (buckets.length <= SHARED_WHILE_READING_MAX) this.#share(opId, buckets, reading);
    const sums = await reading;
    for (const sum of sums) this.#keep(opId, sum);
    return sums;
  }

  #share(opId: OpId, buckets: readonly BucketName[], reading: Promise<readonly BucketSum[]>): void {
    for (const bucket of buckets) {
      const sum = reading.then(
        (sums) => sums.find((each) => each.bucket === bucket) ?? { bucket, checksum: 0, count: 0 },
      );
      // Who waits sees the error; if nobody does, the reader of the batch does.
      sum.catch(() => {
        if (this.#cache.get(bucket)?.sum === sum) this.#cache.delete(bucket);
      });
      this.#cache.set(bucket, { opId, sum });
    }
  }

  #keep(opId: OpId, sum: BucketSum): void {
    const cached = this.#cache.get(sum.bucket);
    if (cached === undefined || cached.opId <= opId) this.#cache.set(sum.bucket, { opId, sum });
  }
}
