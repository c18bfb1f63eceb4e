/**
 * One watch on storage for all connections of a stream. What changed between two checkpoints is read once, and found by
 * the connections through an index of what each of them follows: a checkpoint that does not concern a client costs it
 * nothing.
 */
import {
  asSluiceError,
  type BucketName,
  type Checkpoint,
  type Clock,
  type Logger,
  nextTurn,
  type OpId,
} from '@sluice/core';
import type { BucketStorage, Changes, StreamReader, WriteCheckpoint } from '@sluice/storage';
import { ChangeHistory } from './change-history.ts';
import { FeedSubscription } from './feed-subscription.ts';
import type { ReadsAhead } from './reads/shared-reads.ts';
import { UserWrites } from './user-writes.ts';
import { WakeQueue } from './wake-queue.ts';

/** What a checkpoint brings to connections that wait for one. */
export interface NewsForMany {
  readonly before: OpId;
  readonly opId: OpId;
  /** That changed in between. */
  readonly buckets: readonly BucketName[];
}

export interface CheckpointFeedOptions {
  readonly reader: Pick<StreamReader, 'watch' | 'changes'>;
  readonly storage: Pick<BucketStorage, 'writeCheckpoints'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Begins to read what connections will ask for when they are woken with the news. */
  readonly readAhead?: (news: NewsForMany) => ReadsAhead;
}

const RETRY_MS = 1_000;
/** How soon write checkpoints are looked for that another process stored. */
const FOREIGN_WRITE_CHECKPOINTS_MS = 1_000;
/** So long connections sleep on at most while reads for them are under way. */
const READ_AHEAD_MS_MAX = 250;
/** More are left to those who want them. */
const BUCKETS_AHEAD_MAX = 2_000;

export class CheckpointFeed {
  readonly #options: CheckpointFeedOptions;
  readonly #subscriptions = new Set<FeedSubscription>();
  readonly #byBucket = new Map<BucketName, Set<FeedSubscription>>();
  readonly #byLookup = new Map<string, Set<FeedSubscription>>();
  readonly #history = new ChangeHistory();
  readonly #writes: UserWrites;
  readonly #wakes = new WakeQueue();
  #checkpoint: Checkpoint | null = null;
  #isReady: () => void = () => {};
  /** Resolves at the first checkpoint, or when the feed ends without one. */
  readonly ready = new Promise<void>((resolve) => {
    this.#isReady = resolve;
  });
  #cancelTick: (() => void) | null = null;
  #ended = false;

  constructor(options: CheckpointFeedOptions) {
    this.#options = options;
    this.#writes = new UserWrites(options.storage);
  }

  /** The newest checkpoint of which the changes are known; null before the first. */
  get checkpoint(): Checkpoint | null {
    return this.#checkpoint;
  }

  get connections(): number {
    return this.#subscriptions.size;
  }

  /** Follows storage until the signal aborts; then every subscription ends. Storage errors are logged and retried. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const checkpoint of this.#options.reader.watch(signal)) await this.#arrived(checkpoint);
      } catch (error) {
        if (signal.aborted) break;
        const { code, message } = asSluiceError(error);
        this.#options.logger.error({ code, err: error }, `Reading checkpoints failed, trying again: ${message}`);
      }
      if (!signal.aborted) await this.#options.clock.sleep(RETRY_MS, signal).catch(() => {});
    }
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#isReady();
    this.#cancelTick?.();
    for (const subscription of this.#subscriptions) subscription.close();
  }

  /** A connection of `user`. It starts with everything as news, and must be closed. */
  subscribe(user: string): FeedSubscription {
    const subscription = new FeedSubscription({ feed: this, writes: this.#writes, user, clock: this.#options.clock });
    this.#subscriptions.add(subscription);
    this.#writes.join(user, subscription);
    if (this.#ended) subscription.close();
    return subscription;
  }

  async #arrived(checkpoint: Checkpoint): Promise<void> {
    const before = this.#checkpoint;
    if (before !== null && checkpoint.opId > before.opId) {
      const changes = await this.#options.reader.changes(before.opId, checkpoint.opId);
      await this.#spread({ from: before.opId, to: checkpoint, changes });
    } else {
      this.#checkpoint = checkpoint;
      this.#isReady();
      if (before === null) for (const subscription of this.#subscriptions) this.wake(subscription);
      this.#writes.passed(checkpoint.position);
    }
    this.#cancelTick ??= this.#options.clock.timer(FOREIGN_WRITE_CHECKPOINTS_MS, () => void this.#lookAround());
  }

  /** The next checkpoint is not looked at before all have been woken with this one. */
  async #spread({ from, to, changes }: { from: OpId; to: Checkpoint; changes: Changes }): Promise<void> {
    this.#wakes.hold();
    let ahead: ReadsAhead | null = null;
    try {
      // In one turn: whoever is awake finds the checkpoint and its news together.
      this.#history.add({ from, to: to.opId, changes });
      this.#checkpoint = to;
      const buckets = this.#mark(from, changes);
      this.#writes.passed(to.position);
      if (buckets.length > 0) ahead = this.#options.readAhead?.({ before: from, opId: to.opId, buckets }) ?? null;
      if (ahead !== null) await this.#within(READ_AHEAD_MS_MAX, ahead.ready);
    } finally {
      this.#wakes.release();
    }
    await this.#wakes.drained();
    if (ahead !== null) void forgetWhenTaken(ahead);
  }

  #within(ms: number, ready: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.timer(ms, resolve);
      void ready.then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** After each checkpoint, but not more often: the marker of a write that another process served brought one. */
  async #lookAround(): Promise<void> {
    this.#cancelTick = null;
    try {
      await this.#writes.lookAround();
    } catch (error) {
      const { code, message } = asSluiceError(error);
      this.#options.logger.warn({ code }, `Looking for write checkpoints failed; the next one tells: ${message}`);
    }
  }

  /** @returns changed buckets of those who wait, not too many */
  #mark(since: OpId, { buckets, lookups }: Changes): BucketName[] {
    if (buckets === 'all' || lookups === 'all') {
      for (const subscription of this.#subscriptions) subscription.everythingChanged();
      return [];
    }
    const awaited = new Set<BucketName>();
    forEachShared(buckets, this.#byBucket, (subscription, bucket) => {
      subscription.bucketChanged(bucket, since);
      if (subscription.isWaiting && awaited.size < BUCKETS_AHEAD_MAX) awaited.add(bucket);
    });
    forEachShared(lookups, this.#byLookup, (subscription) => subscription.lookupsChanged(since));
    return [...awaited];
  }

  wake(subscription: FeedSubscription): void {
    if (subscription.isWaiting) this.#wakes.add(subscription);
  }

  /** A write checkpoint of `user` was stored by this process: the user's connections are told once its head is passed. */
  writeStored(user: string, newest: WriteCheckpoint): void {
    this.#writes.stored(user, newest);
  }

  /** Whether only few checkpoints have passed since. */
  isRecent(opId: OpId): boolean {
    return this.#history.covers(opId, this.#checkpoint?.opId ?? 0);
  }

  mayHaveChanged(bucket: BucketName, asOf: OpId): boolean {
    return this.#history.mayHaveChanged(bucket, asOf, this.#checkpoint?.opId ?? 0);
  }

  /** Changes of the names in (asOf, newest checkpoint]. For subscriptions that begin to follow them late. */
  changedSince(asOf: OpId, kind: 'buckets' | 'lookups', followed: ReadonlySet<string>): ReadonlySet<string> | 'all' {
    return this.#history.changedSince(asOf, this.#checkpoint?.opId ?? 0, { kind, followed });
  }

  follow(subscription: FeedSubscription, kind: 'buckets' | 'lookups', name: string): void {
    link(kind === 'buckets' ? this.#byBucket : this.#byLookup, name, subscription);
  }

  unfollow(subscription: FeedSubscription, kind: 'buckets' | 'lookups', name: string): void {
    unlink(kind === 'buckets' ? this.#byBucket : this.#byLookup, name, subscription);
  }

  leave(subscription: FeedSubscription): void {
    this.#subscriptions.delete(subscription);
    this.#writes.leave(subscription.user, subscription);
  }
}

/** To be called when all are awake: while reads are under way, some are still on their way to them. */
async function forgetWhenTaken({ ready, forget }: ReadsAhead): Promise<void> {
  await ready;
  await nextTurn();
  forget();
}

function link(index: Map<string, Set<FeedSubscription>>, name: string, subscription: FeedSubscription): void {
  const set = index.get(name);
  if (set === undefined) index.set(name, new Set([subscription]));
  else set.add(subscription);
}

function unlink(index: Map<string, Set<FeedSubscription>>, name: string, subscription: FeedSubscription): void {
  const set = index.get(name);
  set?.delete(subscription);
  if (set?.size === 0) index.delete(name);
}

/** Visits the smaller side: one checkpoint may change very many buckets, of which few are followed, or the reverse. */
function forEachShared(
  changed: ReadonlySet<string>,
  index: ReadonlyMap<string, ReadonlySet<FeedSubscription>>,
  visit: (subscription: FeedSubscription, name: string) => void,
): void {
  if (changed.size <= index.size) {
    for (const name of changed) for (const subscription of index.get(name) ?? []) visit(subscription, name);
    return;
  }
  for (const [name, subscriptions] of index) {
    if (changed.has(name)) for (const subscription of subscriptions) visit(subscription, name);
  }
}
