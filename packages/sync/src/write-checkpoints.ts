/**
 * A client's proof that its own write came back. Requested: read the source's head, store it under the user, put a marker
 * into the source, answer, in this order: a marker that ran ahead of the stored mapping could strand the client on an
 * idle source. Requests that wait at the same time share one head and one marker.
 */
import { type Clock, type Position, SluiceError } from '@sluice/core';
import type { BucketStorage, WriteCheckpoint } from '@sluice/storage';

/** The two things the client side asks of a source. */
export interface MarkHead {
  /** Where the source's history ends now. */
  head(): Promise<Position>;
  /** Makes an idle source stream a position behind the head of before. */
  marker(): Promise<void>;
}

type Storage = Pick<BucketStorage, 'createWriteCheckpoint' | 'requestWriteCheckpoint'>;

interface Waiting {
  readonly user: string;
  readonly store: (head: Position) => Promise<bigint>;
  readonly resolve: (id: bigint) => void;
  readonly reject: (error: unknown) => void;
}

/** A source that falls silent must not keep clients waiting: they ask again. */
const SOURCE_LIMIT_MS = 15_000;

/** Key of a user's write checkpoints: databases of one user count apart, and no two users share a key. */
export function writeCheckpointUser(userId: string, clientId: string | null): string {
  return JSON.stringify(clientId === null ? [userId] : [userId, clientId]);
}

export class WriteCheckpoints {
  readonly #storage: Storage;
  readonly #source: MarkHead;
  readonly #onStored: (user: string, newest: WriteCheckpoint) => void;
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  #running = false;

  /** @param options.onStored told after the mapping is stored: connections of the user now wait for that head */
  constructor(options: {
    readonly storage: Storage;
    readonly source: MarkHead;
    readonly onStored: (user: string, newest: WriteCheckpoint) => void;
    readonly clock: Clock;
  }) {
    this.#storage = options.storage;
    this.#source = options.source;
    this.#onStored = options.onStored;
    this.#clock = options.clock;
  }

  /** The next id of the user. */
  create(user: string): Promise<bigint> {
    return this.#enqueue(user, (head) => this.#storage.createWriteCheckpoint(user, head));
  }

  /** The client counts itself. @returns max(stored, requested) */
  request(user: string, requested: bigint): Promise<bigint> {
    return this.#enqueue(user, (head) => this.#storage.requestWriteCheckpoint(user, requested, head));
  }

  #enqueue(user: string, store: Waiting['store']): Promise<bigint> {
    return new Promise<bigint>((resolve, reject) => {
      this.#waiting.push({ user, store, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  /**
   * Never rejects. A head must be read after the request came in: what arrives while a batch is on its way makes the
   * next one.
   */
  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        await this.#serve(batch);
      }
    } finally {
      this.#running = false;
    }
  }

  /** @throws PSYNC_S1121 if the source does not answer */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.timer(SOURCE_LIMIT_MS, () => {
        reject(new SluiceError('PSYNC_S1121', `the source did not answer in ${SOURCE_LIMIT_MS / 1000} s`));
      });
      answer.then(resolve, reject).finally(cancel);
    });
  }

  async #serve(batch: readonly Waiting[]): Promise<void> {
    try {
      const head = await this.#inTime(this.#source.head());
      const ids = await Promise.all(batch.map((each) => each.store(head)));
      for (const [index, each] of batch.entries()) this.#onStored(each.user, { id: ids[index] as bigint, head });
      await this.#inTime(this.#source.marker());
      for (const [index, each] of batch.entries()) each.resolve(ids[index] as bigint);
    } catch (error) {
      for (const each of batch) each.reject(error);
    }
  }
}
