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
  type OpId,
  type Position,
} from '@sluice/core';
import type { Changes, StreamReader } from '@sluice/storage';
import { FeedSubscription } from './feed-subscription.ts';

interface HistoryEntry {
  readonly from: OpId;
  readonly to: OpId;
  readonly changes: Changes;
}

export interface CheckpointFeedOptions {
  readonly reader: StreamReader;
  readonly clock: Clock;
  readonly logger: Logger;
}

const HISTORY_CHECKPOINTS = 64;
const HISTORY_NAMES = 50_000;
const RETRY_MS = 1_000;
/** How soon a connection looks for write checkpoints that another process stored. */
const FOREIGN_WRITE_CHECKPOINTS_MS = 1_000;

export class CheckpointFeed {
  readonly #options: CheckpointFeedOptions;
  readonly #subscriptions = new Set<FeedSubscription>();
  readonly #byBucket = new Map<BucketName, Set<FeedSubscription>>();
  readonly #byLookup = new Map<string, Set<FeedSubscription>>();
  readonly #byUser = new Map<string, Set<FeedSubscription>>();
  /** Source heads that must be passed before the user's newest write checkpoint may be told. */
  readonly #awaitedHeads = new Map<string, Position>();
  #history: HistoryEntry[] = [];
  #historyNames = 0;
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
    const subscription = new FeedSubscription({ feed: this, user, clock: this.#options.clock });
    this.#subscriptions.add(subscription);
    link(this.#byUser, user, subscription);
    if (this.#ended) subscription.close();
    return subscription;
  }

  async #arrived(checkpoint: Checkpoint): Promise<void> {
    const before = this.#checkpoint;
    if (before !== null && checkpoint.opId > before.opId) {
      const changes = await this.#options.reader.changes(before.opId, checkpoint.opId);
      this.#remember({ from: before.opId, to: checkpoint.opId, changes });
      this.#checkpoint = checkpoint;
      this.#spread(changes);
    } else {
      this.#checkpoint = checkpoint;
      this.#isReady();
      if (before === null) for (const subscription of this.#subscriptions) subscription.started();
    }
    this.#acknowledge(checkpoint.position);
    this.#cancelTick ??= this.#options.clock.timer(FOREIGN_WRITE_CHECKPOINTS_MS, () => {
      this.#cancelTick = null;
      for (const subscription of this.#subscriptions) subscription.writeCheckpointMayBeDue();
    });
  }

  #remember(entry: HistoryEntry): void {
    this.#history.push(entry);
    this.#historyNames += names(entry.changes);
    while (this.#history.length > HISTORY_CHECKPOINTS || this.#historyNames > HISTORY_NAMES) {
      const oldest = this.#history.shift();
      if (oldest === undefined) return;
      this.#historyNames -= names(oldest.changes);
    }
  }

  #spread(changes: Changes): void {
    if (changes.buckets === 'all' || changes.lookups === 'all') {
      for (const subscription of this.#subscriptions) subscription.everythingChanged();
      return;
    }
    forEachShared(changes.buckets, this.#byBucket, (subscription, bucket) => subscription.bucketChanged(bucket));
    forEachShared(changes.lookups, this.#byLookup, (subscription) => subscription.lookupsChanged());
  }

  #acknowledge(position: Position): void {
    for (const [user, head] of this.#awaitedHeads) {
      if (head > position) continue;
      this.#awaitedHeads.delete(user);
      for (const subscription of this.#byUser.get(user) ?? []) subscription.writeCheckpointMayBeDue();
    }
  }

  /** A write checkpoint of `user` was stored, here, or found in storage: tell the user's connections once `head` is passed. */
  awaitHead(user: string, head: Position): void {
    if (!this.#byUser.has(user)) return;
    this.#awaitedHeads.set(user, head);
    if (this.#checkpoint !== null) this.#acknowledge(this.#checkpoint.position);
  }

  /** Changes of the names in (asOf, newest checkpoint]. For subscriptions that begin to follow them late. */
  changedSince(asOf: OpId, kind: 'buckets' | 'lookups', followed: ReadonlySet<string>): ReadonlySet<string> | 'all' {
    const newest = this.#checkpoint?.opId ?? 0;
    const changed = new Set<string>();
    let covered = newest;
    for (let index = this.#history.length - 1; index >= 0 && covered > asOf; index--) {
      const entry = this.#history[index] as HistoryEntry;
      const set = entry.changes[kind];
      if (set === 'all') return 'all';
      for (const name of smaller(set, followed)) if (set.has(name) && followed.has(name)) changed.add(name);
      covered = entry.from;
    }
    return covered > asOf ? 'all' : changed;
  }

  follow(subscription: FeedSubscription, kind: 'buckets' | 'lookups', name: string): void {
    link(kind === 'buckets' ? this.#byBucket : this.#byLookup, name, subscription);
  }

  unfollow(subscription: FeedSubscription, kind: 'buckets' | 'lookups', name: string): void {
    unlink(kind === 'buckets' ? this.#byBucket : this.#byLookup, name, subscription);
  }

  leave(subscription: FeedSubscription): void {
    this.#subscriptions.delete(subscription);
    unlink(this.#byUser, subscription.user, subscription);
    if (!this.#byUser.has(subscription.user)) this.#awaitedHeads.delete(subscription.user);
  }
}

function names(changes: Changes): number {
  return (
    (changes.buckets === 'all' ? 0 : changes.buckets.size) + (changes.lookups === 'all' ? 0 : changes.lookups.size)
  );
}

function smaller(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return a.size <= b.size ? a : b;
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
