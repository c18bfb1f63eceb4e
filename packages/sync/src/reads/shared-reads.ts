/**
 * News of a checkpoint are read by many connections at once: one row for each of a thousand clients, or one for all of
 * them. Those reads are one: each bucket once, in one call, and each connection takes its part of the answer, which may
 * have been asked for before the connection was woken. Who has more to catch up with than the last checkpoints reads on
 * its own.
 */
import { type BucketName, limits, nextTurn, type OpId } from '@sluice/core';
import {
  type BucketChunk,
  type BucketRequest,
  OpSlice,
  type ReadLimits,
  type ReadMemory,
  ReadRoom,
  type StreamReader,
} from '@sluice/storage';

type Reader = Pick<StreamReader, 'readOps'>;

/** Reads that are under way or done, for connections that will ask. */
export interface ReadsAhead {
  /** Resolves when they are done or have failed. */
  readonly ready: Promise<void>;
  /** Gives their memory back: who asks from now on reads anew. */
  readonly forget: () => void;
}

interface Batch {
  readonly checkpoint: OpId;
  /** All of them until they are read, then those that the read reached. */
  readonly requests: Map<BucketName, BucketRequest>;
  readonly chunks: Promise<ReadonlyMap<BucketName, BucketChunk>>;
  /** Whether the read is still to begin, so that more may join. */
  open: boolean;
}

/** Larger groups are first downloads, or near to it. */
const GROUP_MAX = 32;
const BATCH_BUCKETS_MAX = 1_000;
const BATCH_LIMITS: ReadLimits = { ops: 2 * BATCH_BUCKETS_MAX, bytes: limits.dataLineBytesMax };
/** After so many reads that did not come as far as its buckets, a connection reads by itself. */
const ROUNDS_MAX = 8;

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
      // One large bucket does not make all that stand behind it read alone: they meet again in the next batch.
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const batch = this.#join(checkpoint, requests);
        const part = partOf(await batch.chunks, { reached: batch.requests, requests, bounds });
        if (part !== null) return part;
      }
    }
    return this.#reader.readOps(checkpoint, requests, bounds, memory);
  }

  /** Begins to read what connections will ask for; kept until it is forgotten. */
  readAhead(checkpoint: OpId, requests: readonly BucketRequest[]): ReadsAhead {
    const batches: Batch[] = [];
    for (let from = 0; from < requests.length; from += BATCH_BUCKETS_MAX) {
      const batch = this.#batch(checkpoint, requests.slice(from, from + BATCH_BUCKETS_MAX), Promise.resolve());
      // Nobody who comes later is to meet an error of before.
      batch.chunks.catch(() => this.#batches.delete(batch));
      batches.push(batch);
    }
    const forget = () => {
      for (const batch of batches) this.#batches.delete(batch);
    };
    return { ready: Promise.allSettled(batches.map(({ chunks }) => chunks)).then(() => {}), forget };
  }

  #join(checkpoint: OpId, requests: readonly BucketRequest[]): Batch {
    for (const batch of this.#batches) {
      if (batch.checkpoint !== checkpoint || !fits(batch, requests)) continue;
      if (batch.open) for (const request of requests) batch.requests.set(request.bucket, request);
      return batch;
    }
    const batch = this.#batch(checkpoint, requests, nextTurn());
    batch.open = true;
    const forget = () => this.#batches.delete(batch);
    // Who waits sees the error; if all who waited are gone, nobody needs to.
    batch.chunks.then(forget, forget);
    return batch;
  }

  #batch(checkpoint: OpId, requests: readonly BucketRequest[], beginning: Promise<void>): Batch {
    const batch: Batch = {
      checkpoint,
      requests: new Map(requests.map((request) => [request.bucket, request])),
      chunks: beginning.then(() => this.#read(batch)),
      open: false,
    };
    this.#batches.add(batch);
    return batch;
  }

  async #read(batch: Batch): Promise<ReadonlyMap<BucketName, BucketChunk>> {
    batch.open = false;
    const requests = [...batch.requests.values()];
    const chunks = await this.#reader.readOps(batch.checkpoint, requests, this.#bounds);
    const last = chunks.at(-1)?.bucket;
    const end = last === undefined ? requests.length : requests.findIndex(({ bucket }) => bucket === last) + 1;
    for (const { bucket } of requests.slice(end)) batch.requests.delete(bucket);
    return new Map(chunks.map((chunk) => [chunk.bucket, chunk]));
  }
}

/** Whether the batch can still ask for all of these; if not, whether it asks for the first of them, at least. */
function fits(batch: Batch, requests: readonly BucketRequest[]): boolean {
  if (!batch.open) return requests[0] !== undefined && asksFor(batch.requests, requests[0]);
  const room = batch.requests.size + requests.length <= BATCH_BUCKETS_MAX;
  return requests.every((request) => (batch.requests.has(request.bucket) ? asksFor(batch.requests, request) : room));
}

function asksFor(requests: ReadonlyMap<BucketName, BucketRequest>, { bucket, after }: BucketRequest): boolean {
  return requests.get(bucket)?.after === after;
}

interface Wanted {
  readonly reached: ReadonlyMap<BucketName, BucketRequest>;
  readonly requests: readonly BucketRequest[];
  readonly bounds: ReadLimits;
}

/** What a batch has for one connection; null if it has nothing for it. Where chunks end, the caller asks again. */
function partOf(
  chunks: ReadonlyMap<BucketName, BucketChunk>,
  { reached, requests, bounds }: Wanted,
): readonly BucketChunk[] | null {
  const room = new ReadRoom(bounds);
  const part: BucketChunk[] = [];
  for (const request of requests) {
    if (room.isFull) return part;
    if (!asksFor(reached, request)) return part.length === 0 ? null : part;
    const chunk = chunks.get(request.bucket);
    if (chunk === undefined) continue;
    const own = within(chunk, room);
    part.push(own);
    if (own.hasMore) return part;
  }
  return part;
}

/** As much of the chunk as there is room for. */
function within(chunk: BucketChunk, room: ReadRoom): BucketChunk {
  const slices: OpSlice[] = [];
  for (const { run, from, to } of chunk.slices) {
    const end = room.endIn(run, from, to);
    if (end > from) {
      const slice = new OpSlice(run, from, end);
      room.take(slice);
      slices.push(slice);
    }
    if (end < to) return { ...chunk, slices, hasMore: true };
  }
  return chunk;
}
