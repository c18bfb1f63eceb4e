/** What a read takes of one bucket, run by run, within what is left of its limits. */
import type { OpId } from '@sluice/core';
import type { BucketChunk, BucketRequest, ReadLimits } from '../bucket-storage.ts';
import { type OpRun, OpSlice } from '../op-run.ts';

/** What the limits of one read still allow. */
export class ReadRoom {
  #ops: number;
  #bytes: number;

  constructor({ ops, bytes }: ReadLimits) {
    this.#ops = ops;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#ops <= 0 || this.#bytes <= 0;
  }

  /** Where the ops of a run end that there is room for: bytes count before the last op. @param end of those that are wanted */
  endIn(run: OpRun, from: number, end: number): number {
    if (this.isFull) return from;
    const to = Math.min(end, from + this.#ops);
    const room = run.bodyAt(from) + this.#bytes;
    return run.bodyAt(to) <= room ? to : Math.min(to, run.firstFrom(room));
  }

  take(slice: OpSlice): void {
    this.#ops -= slice.count;
    this.#bytes -= slice.bytes;
  }
}

export class OpTaking {
  readonly #request: BucketRequest;
  readonly #checkpoint: OpId;
  readonly #room: ReadRoom;
  readonly #slices: OpSlice[] = [];
  #hasMore = false;

  constructor(request: BucketRequest, checkpoint: OpId, room: ReadRoom) {
    this.#request = request;
    this.#checkpoint = checkpoint;
    this.#room = room;
  }

  /** The last op that was taken, or that the client has. */
  get after(): OpId {
    return this.#slices.at(-1)?.lastOp ?? this.#request.after;
  }

  /** Null if nothing was found. */
  get chunk(): BucketChunk | null {
    if (this.#slices.length === 0) return null;
    return { bucket: this.#request.bucket, slices: this.#slices, hasMore: this.#hasMore };
  }

  /** Whether a run that begins with `firstOp`, up to the checkpoint, need not be read, because there is no room left. */
  leaves(firstOp: OpId): boolean {
    if (!this.#room.isFull || firstOp <= this.after) return false;
    this.#hasMore = true;
    return true;
  }

  /** Takes what it may of the run that follows. @returns whether ops of runs behind it may be taken, too */
  take(run: OpRun): boolean {
    const from = run.firstAfter(this.after);
    const end = run.lastOp <= this.#checkpoint ? run.count : run.firstAfter(this.#checkpoint);
    if (from >= end) return run.lastOp < this.#checkpoint;
    const to = this.#room.endIn(run, from, end);
    if (to > from) {
      const slice = new OpSlice(run, from, to);
      this.#slices.push(slice);
      this.#room.take(slice);
    }
    if (to < end) this.#hasMore = true;
    return to === end && run.lastOp < this.#checkpoint;
  }
}
