/**
 * One client's side of a stream: news in, checkpoint lines out. Everything but waiting and the order of lines, which is
 * `stream.ts`.
 */
import type { BucketName, Checkpoint } from '@sluice/core';
import type { BucketSum } from '@sluice/storage';
import { BucketReader } from './bucket-reader.ts';
import { ClientState } from './client-state.ts';
import type { Download } from './download-share.ts';
import type { FeedSubscription, News } from './feed-subscription.ts';
import { type MembershipAt, type MembershipLimits, MembershipResolver } from './membership.ts';
import type { CheckpointDiffLine, CheckpointLine, SyncStreamRequest } from './protocol.ts';
import type { ServedVersion } from './served-version.ts';

export interface ConnectionOptions {
  readonly version: ServedVersion;
  readonly subscription: FeedSubscription;
  readonly request: SyncStreamRequest;
  /** Verified token payload. */
  readonly token: Readonly<Record<string, unknown>>;
  readonly limits: MembershipLimits;
}

export class Connection {
  readonly #version: ServedVersion;
  readonly #subscription: FeedSubscription;
  readonly #resolver: MembershipResolver;
  readonly #state: ClientState;

  constructor(options: ConnectionOptions) {
    const { version, request, token } = options;
    this.#version = version;
    this.#subscription = options.subscription;
    this.#state = new ClientState(request.buckets);
    const { parameters, subscriptions, includeDefaults } = request;
    this.#resolver = new MembershipResolver({
      rules: version.rules,
      request: { token, parameters, subscriptions, includeDefaults },
      lookups: version.lookups,
      limits: options.limits,
    });
  }

  get state(): Pick<ClientState, 'opId' | 'buckets' | 'complete'> {
    return this.#state;
  }

  /**
   * Moves the client on to `checkpoint`.
   * @param news what may have changed since the last call
   * @returns null if nothing of it concerns this client
   * @throws PSYNC_S2305
   */
  async advance(checkpoint: Checkpoint, news: News): Promise<CheckpointLine | CheckpointDiffLine | null> {
    const first = this.#state.opId === null;
    const membership = await this.#membership(checkpoint, { first, news });
    const sums = await this.#sums(checkpoint, { membership, news });
    const writeCheckpoint = await this.#acknowledged(checkpoint);
    return this.#state.tell(
      {
        opId: checkpoint.opId,
        writeCheckpoint,
        membership: membership?.buckets ?? null,
        sums,
        unchangedUpTo: news.unchangedUpTo,
      },
      membership?.streams ?? [],
    );
  }

  /** All of the client's buckets, if they may be others than before. */
  async #membership(
    checkpoint: Checkpoint,
    about: { readonly first: boolean; readonly news: News },
  ): Promise<MembershipAt | null> {
    const changed = about.news.lookups || (about.news.everything && this.#resolver.dynamic);
    if (!about.first && !changed) return null;
    const membership = await this.#resolver.at(checkpoint.opId);
    const buckets = membership.buckets.map((member) => member.bucket);
    this.#subscription.follow({ buckets, lookups: membership.lookups }, checkpoint.opId);
    return membership;
  }

  async #sums(
    checkpoint: Checkpoint,
    about: { readonly membership: MembershipAt | null; readonly news: News },
  ): Promise<ReadonlyMap<BucketName, BucketSum>> {
    const { membership, news } = about;
    const told = this.#state.buckets;
    const members = membership?.buckets.map((member) => member.bucket) ?? [...told.keys()];
    const wanted = news.everything ? members : members.filter((name) => news.buckets.has(name) || !told.has(name));
    return wanted.length === 0 ? new Map() : this.#version.sums.at(checkpoint.opId, wanted);
  }

  /** An id that was told once is repeated, whatever newer one is on its way. */
  async #acknowledged(checkpoint: Checkpoint): Promise<bigint | null> {
    const told = this.#state.writeCheckpoint;
    const newest = await this.#subscription.newestWrite();
    if (newest === null || newest.head > checkpoint.position) return told;
    return told !== null && newest.id <= told ? told : newest.id;
  }

  /** Reads what the last line promised. */
  download(share: Pick<Download, 'bounds' | 'memory'>): BucketReader {
    return new BucketReader({ reader: this.#version.reads, state: this.#state, share });
  }

  /**
   * Whether news are worth leaving a download of `priority` for: changes of buckets that come before it, or of the set
   * of buckets. Others wait until the download is complete: leaving for those would only put the completion off.
   */
  overtakes(news: News, priority: number): boolean {
    if (news.everything || news.lookups || news.writeCheckpoint) return true;
    for (const name of news.buckets) if ((this.#state.buckets.get(name)?.priority ?? 3) < priority) return true;
    return false;
  }
}
