/**
 * News of a checkpoint are read by many connections in the same turn: one row for each of a thousand clients, or one for
 * all of them. Those reads are one: each bucket once, in one call, and each connection takes its part of the answer. Who
 * has more to catch up with than the last checkpoints reads on its own.
 */
import { type BucketName, limits, nextTurn, type OpId } from '@sluice/core';
import {
  type BucketChunk,
  type BucketRequest,
  countOps,
  type ReadLimits,
  type ReadMemory,
  type StreamReader,
} from '@sluice/storage';

type Reader = Pick<StreamReader, 'readOps'>;

interface Batch {
  readonly checkpoint: OpId;
  readonly requests: Map<BucketName, BucketRequest>;
  readonly answer: Promise<Answer>;
  open: boolean;
}

interface Answer {
  readonly chunks: ReadonlyMap<BucketName, BucketChunk>;
  /** Buckets that were read to the end of `chunks`: all that come before its last one, and that. */
  readonly answered: ReadonlySet<BucketName>;
}

/** Larger groups are first downloads, or near to it. */
const GROUP_MAX = 32;
const BATCH_BUCKETS_MAX = 1_000;
const BATCH_LIMITS: ReadLimits = { ops: 2 * BATCH_BUCKETS_MAX, bytes: limits.dataLineBytesMax };

export class SharedReads implements Reader {
  readonly #reader: Reader;
  readonly #isRecent: (opId: OpId) => boolean;
  readonly #bounds: ReadLimits;
  readonly #batches = new Set<Batch>();

  /** @param options.isRecent whether only few checkpoints have passed since */
  constructor(options: {
    readonly reader: Reader;
    readonly isRecent: (opId: OpId) => boolean;
    /** Of one shared read. */
    readonly bounds?: ReadLimits;
  }) {
    this.#reader = options.reader;
    this.#bounds = options.bounds ?? BATCH_LIMITS;
    this.#isRecent = options.isRecent;
  }

  /** As the port has it. */
  async readOps(
    checkpoint: OpId,
    requests: readonly BucketRequest[],
    bounds: ReadLimits,
    memory?: ReadMemory,
  ): Promise<readonly BucketChunk[]> {
    if (requests.length <= GROUP_MAX && requests.every(({ after }) => this.#isRecent(after))) {
      const batch = this.#join(checkpoint, requests);
      const shared = batch === null ? null : partOf(await batch.answer, requests, bounds);
      if (shared !== null) return shared;
    }
    return this.#reader.readOps(checkpoint, requests, bounds, memory);
  }

  #join(checkpoint: OpId, requests: readonly BucketRequest[]): Batch | null {
    for (const batch of this.#batches) {
      if (batch.checkpoint !== checkpoint || !fits(batch, requests)) continue;
      if (batch.open) for (const request of requests) batch.requests.set(request.bucket, request);
      return batch;
    }
    return this.#begin(checkpoint, requests);
  }

  #begin(checkpoint: OpId, requests: readonly BucketRequest[]): Batch {
    const batch: Batch = {
      checkpoint,
      requests: new Map(requests.map((request) => [request.bucket, request])),
      answer: nextTurn().then(() => this.#read(batch)),
      open: true,
    };
    // Who waits sees the error; if all who waited are gone, nobody needs to.
    batch.answer.catch(() => {});
    this.#batches.add(batch);
    return batch;
  }

  async #read(batch: Batch): Promise<Answer> {
    batch.open = false;
    try {
      const requests = [...batch.requests.values()];
      const chunks = await this.#reader.readOps(batch.checkpoint, requests, this.#bounds);
      const last = chunks.at(-1)?.bucket;
      const end = last === undefined ? requests.length : requests.findIndex(({ bucket }) => bucket === last) + 1;
      return {
        chunks: new Map(chunks.map((chunk) => [chunk.bucket, chunk])),
        answered: new Set(requests.slice(0, end).map(({ bucket }) => bucket)),
      };
    } finally {
      this.#batches.delete(batch);
    }
  }
}

/** Whether the batch asks, or can still ask, for exactly these. */
function fits(batch: Batch, requests: readonly BucketRequest[]): boolean {
  const room = batch.open && batch.requests.size + requests.length <= BATCH_BUCKETS_MAX;
  return requests.every(({ bucket, after }) => {
    const asked = batch.requests.get(bucket);
    return asked === undefined ? room : asked.after === after;
  });
}

/** What the answer has for one connection; null if it has too little, or more than the connection may take. */
function partOf(answer: Answer, requests: readonly BucketRequest[], bounds: ReadLimits): readonly BucketChunk[] | null {
  const part: BucketChunk[] = [];
  for (const { bucket } of requests) {
    // Where chunks end, the caller asks again.
    if (!answer.answered.has(bucket)) return part.length === 0 ? null : part;
    const chunk = answer.chunks.get(bucket);
    if (chunk === undefined) continue;
    if (countOps(chunk.slices) > bounds.ops) return part.length === 0 ? null : part;
    part.push(chunk);
    if (chunk.hasMore) return part;
  }
  return part;
}
