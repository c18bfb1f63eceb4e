/**
 * Reads what a client is owed for one checkpoint: by priority, in chunks, nothing above the checkpoint. Between two
 * priorities a partial completion is due, but only if the later one has data at all.
 */
import { invariant, type OpId } from '@sluice/core';
import { type BucketChunk, countOps, type StreamReader } from '@sluice/storage';
import type { ClientState, OwedBucket } from './client-state.ts';
import type { Download } from './download-share.ts';
import type { Line } from './protocol.ts';

export class BucketReader {
  readonly #reader: Pick<StreamReader, 'readOps'>;
  readonly #state: ClientState;
  readonly #share: Pick<Download, 'bounds' | 'memory'>;
  readonly #opId: OpId;
  /** What is left, highest priority first. The first one is being read. */
  readonly #left: OwedBucket[];
  readonly #lines: Line[] = [];
  #priority: number | null = null;
  /** Highest priority number of which everything was sent, not yet said. */
  #partial: number | null = null;
  #sent = 0;

  constructor(options: {
    readonly reader: Pick<StreamReader, 'readOps'>;
    readonly state: ClientState;
    readonly share: Pick<Download, 'bounds' | 'memory'>;
  }) {
    this.#reader = options.reader;
    this.#state = options.state;
    this.#share = options.share;
    invariant(options.state.opId !== null, 'bucket reader: no checkpoint was told');
    this.#opId = options.state.opId;
    this.#left = [...options.state.owed()];
  }

  /** Ops sent so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Priority that is read next, if this is a moment at which the download may be left: between two reads. */
  get interruptible(): number | null {
    return this.#lines.length > 0 ? null : (this.#left[0]?.priority ?? null);
  }

  /**
   * The next line, whose ops stand in memory until the line behind it is asked for; null when everything up to the
   * checkpoint has been sent, and the checkpoint may be completed.
   */
  async next(): Promise<Line | null> {
    while (this.#lines.length === 0) {
      if (this.#left.length === 0) return null;
      await this.#read();
    }
    return this.#lines.shift() as Line;
  }

  async #read(): Promise<void> {
    const priority = (this.#left[0] as OwedBucket).priority;
    if (this.#priority !== null && priority !== this.#priority) this.#partial = this.#priority;
    this.#priority = priority;
    const group = this.#left.filter((owed) => owed.priority === priority);
    const { bounds, memory } = this.#share;
    memory.clear();
    const chunks = await this.#reader.readOps(this.#opId, group, bounds(), memory);
    if (chunks.length > 0 && this.#partial !== null) this.#sayPartial(this.#partial);
    for (const chunk of chunks) this.#take(chunk);
    const last = chunks.at(-1);
    // Storage answers in the order asked for: what comes before its last chunk is read, what comes behind may not be.
    if (last === undefined) this.#settle(group.length);
    else this.#settle(group.findIndex((owed) => owed.bucket === last.bucket) + (last.hasMore ? 0 : 1));
  }

  #sayPartial(priority: number): void {
    this.#lines.push({ partial_checkpoint_complete: { last_op_id: String(this.#opId), priority } });
    this.#partial = null;
  }

  #take(chunk: BucketChunk): void {
    const { bucket, slices, hasMore } = chunk;
    const index = this.#left.findIndex((owed) => owed.bucket === bucket);
    const owed = this.#left[index];
    invariant(owed !== undefined, 'bucket reader: storage returned a bucket that was not asked for');
    const nextAfter = slices.at(-1)?.lastOp ?? owed.after;
    invariant(
      nextAfter <= this.#opId && (slices[0]?.firstOp ?? 0) > owed.after,
      'bucket reader: storage returned ops outside the range asked for',
    );
    this.#lines.push({ data: { bucket, after: owed.after, nextAfter, hasMore, slices } });
    this.#left[index] = { ...owed, after: nextAfter };
    this.#state.sent(bucket, nextAfter);
    this.#sent += countOps(slices);
  }

  #settle(count: number): void {
    for (const owed of this.#left.splice(0, count)) this.#state.settled(owed.bucket);
  }
}
