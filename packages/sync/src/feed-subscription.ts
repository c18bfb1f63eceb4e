/**
 * One connection's end of the checkpoint feed: news pile up here, without data, until the connection takes them.
 */
import type { BucketName, Clock, OpId } from '@sluice/core';
import type { WriteCheckpoint } from '@sluice/storage';

/** What may have changed since the last `take`. Names are only ever over-reported. */
export interface News {
  /** Everything may have changed: the first news, or history was too short. */
  readonly everything: boolean;
  readonly buckets: ReadonlySet<BucketName>;
  readonly lookups: boolean;
  readonly writeCheckpoint: boolean;
  /** Nothing that was followed has changed since the last `take`, up to here; null where that is not known. */
  readonly unchangedUpTo: OpId | null;
}

/** The part of the feed that a subscription talks back to. */
interface Feed {
  follow(subscription: FeedSubscription, kind: 'buckets' | 'lookups', name: string): void;
  unfollow(subscription: FeedSubscription, kind: 'buckets' | 'lookups', name: string): void;
  changedSince(asOf: OpId, kind: 'buckets' | 'lookups', followed: ReadonlySet<string>): ReadonlySet<string> | 'all';
  leave(subscription: FeedSubscription): void;
  /** There are news for it. */
  wake(subscription: FeedSubscription): void;
}

/** What is known of write checkpoints; see user-writes.ts. */
interface Writes {
  known(user: string): { readonly newest: WriteCheckpoint | null } | null;
  learn(user: string): Promise<WriteCheckpoint | null>;
}

const NOTHING: News = {
  everything: false,
  buckets: new Set(),
  lookups: false,
  writeCheckpoint: false,
  unchangedUpTo: null,
};

export class FeedSubscription {
  readonly user: string;
  readonly #feed: Feed;
  readonly #writes: Writes;
  readonly #clock: Clock;
  #buckets: ReadonlySet<BucketName> = new Set();
  #lookups: ReadonlySet<string> = new Set();
  #everything = true;
  #changedBuckets = new Set<BucketName>();
  #changedLookups = false;
  #writeCheckpoint = false;
  #unchangedUpTo: OpId | null = null;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(options: { readonly feed: Feed; readonly writes: Writes; readonly user: string; readonly clock: Clock }) {
    this.#feed = options.feed;
    this.#writes = options.writes;
    this.user = options.user;
    this.#clock = options.clock;
  }

  /** Whether it has taken all news, and done what they asked for. */
  get isWaiting(): boolean {
    return this.#wake !== null;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get hasNews(): boolean {
    return this.#everything || this.#changedBuckets.size > 0 || this.#changedLookups || this.#writeCheckpoint;
  }

  /** The news that came and were not taken. */
  get pending(): News {
    return this.hasNews
      ? {
          everything: this.#everything,
          buckets: this.#changedBuckets,
          lookups: this.#changedLookups,
          writeCheckpoint: this.#writeCheckpoint,
          unchangedUpTo: this.#everything ? null : this.#unchangedUpTo,
        }
      : NOTHING;
  }

  take(): News {
    const news = this.pending;
    this.#everything = false;
    this.#changedBuckets = new Set();
    this.#changedLookups = false;
    this.#writeCheckpoint = false;
    this.#unchangedUpTo = null;
    return news;
  }

  /** Resolves when news come, when the subscription is closed, or after `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.timer(ms, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = null;
        cancel();
        resolve();
      };
      if (this.#closed) this.#wake();
    });
  }

  /** From now on, changes of these names are news; those since `asOf` are at once. */
  follow(names: { readonly buckets: Iterable<BucketName>; readonly lookups: Iterable<string> }, asOf: OpId): void {
    if (this.#closed) return;
    this.#buckets = this.#switch('buckets', this.#buckets, new Set(names.buckets), asOf);
    this.#lookups = this.#switch('lookups', this.#lookups, new Set(names.lookups), asOf);
  }

  #switch(
    kind: 'buckets' | 'lookups',
    before: ReadonlySet<string>,
    after: ReadonlySet<string>,
    asOf: OpId,
  ): ReadonlySet<string> {
    for (const name of before) if (!after.has(name)) this.#feed.unfollow(this, kind, name);
    const added = new Set<string>();
    for (const name of after) if (!before.has(name)) added.add(name);
    for (const name of added) this.#feed.follow(this, kind, name);
    if (added.size === 0) return after;
    const missed = this.#feed.changedSince(asOf, kind, added);
    if (missed === 'all') this.everythingChanged();
    else if (kind === 'lookups' && missed.size > 0) this.lookupsChanged(asOf);
    else if (kind === 'buckets') for (const bucket of missed) this.bucketChanged(bucket, asOf);
    return after;
  }

  /** The user's newest write checkpoint. It is news (`writeCheckpoint`) when its head is passed. */
  async newestWrite(): Promise<WriteCheckpoint | null> {
    const known = this.#writes.known(this.user);
    return known === null ? this.#writes.learn(this.user) : known.newest;
  }

  everythingChanged(): void {
    this.#everything = true;
    this.#feed.wake(this);
  }

  /** @param since at which it had not changed yet */
  bucketChanged(bucket: BucketName, since: OpId): void {
    this.#changedBuckets.add(bucket);
    this.#changedSince(since);
  }

  /** @param since as above */
  lookupsChanged(since: OpId): void {
    this.#changedLookups = true;
    this.#changedSince(since);
  }

  #changedSince(opId: OpId): void {
    this.#unchangedUpTo = Math.min(this.#unchangedUpTo ?? opId, opId);
    this.#feed.wake(this);
  }

  writeCheckpointMayBeDue(): void {
    this.#writeCheckpoint = true;
    this.#feed.wake(this);
  }

  /** Ends the wait, if it waits. */
  wake(): void {
    this.#wake?.();
  }

  /** Leaves the feed. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const bucket of this.#buckets) this.#feed.unfollow(this, 'buckets', bucket);
    for (const lookup of this.#lookups) this.#feed.unfollow(this, 'lookups', lookup);
    this.#feed.leave(this);
    this.#wake?.();
  }
}
