/**
 * The stream that clients are served from, and what their connections share: its rules, its reader, its feed. When
 * another stream becomes active, this one ends, its connections with it, and clients come back to the new one.
 */
import { asSluiceError, type Clock, type Logger, type StreamId } from '@sluice/core';
import type { BucketStorage, StreamInfo, StreamReader } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import { BucketSums } from './reads/bucket-sums.ts';
import { CheckpointFeed, type NewsForMany } from './checkpoint-feed.ts';
import { LookupReads } from './reads/lookup-reads.ts';
import { type ReadsAhead, SharedReads } from './reads/shared-reads.ts';

export interface ServedVersion {
  readonly stream: StreamInfo;
  readonly rules: SyncRules;
  readonly feed: CheckpointFeed;
  readonly sums: BucketSums;
  readonly lookups: LookupReads;
  readonly reads: SharedReads;
}

/** What serving needs of storage. */
export interface ServingStorage extends Pick<BucketStorage, 'listStreams' | 'watchStreams' | 'writeCheckpoints'> {
  reader(id: StreamId): Pick<StreamReader, 'watch' | 'changes' | 'bucketSums' | 'readOps' | 'lookups'>;
}

export interface ServedVersionsOptions {
  readonly storage: ServingStorage;
  /** Compiles the rules of a stream, exactly as its writer did: bucket names must be the same. */
  readonly compile: (stream: StreamInfo) => SyncRules;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Serving {
  readonly id: StreamId;
  readonly version: ServedVersion;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

const RETRY_MS = 1_000;
const READY_MS = 5_000;

export class ServedVersions {
  readonly #options: ServedVersionsOptions;
  #serving: Serving | null = null;

  constructor(options: ServedVersionsOptions) {
    this.#options = options;
  }

  /** What clients are served from now; null while no stream is active. */
  get current(): ServedVersion | null {
    return this.#serving?.version ?? null;
  }

  /** Follows the active stream until the signal aborts. Storage errors are logged and retried. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#update();
        for await (const _ of this.#options.storage.watchStreams(signal)) await this.#update();
      } catch (error) {
        if (signal.aborted) break;
        const { code, message } = asSluiceError(error);
        this.#options.logger.error(
          { code, err: error },
          `Following the active stream failed, trying again: ${message}`,
        );
      }
      if (!signal.aborted) await this.#options.clock.sleep(RETRY_MS, signal).catch(() => {});
    }
    await this.#end();
  }

  async #update(): Promise<void> {
    const streams = await this.#options.storage.listStreams();
    const active = streams.find((stream) => stream.lifecycle === 'active');
    if (active?.id === this.#serving?.id) return;
    const before = this.#serving;
    const next = active === undefined ? null : this.#begin(active);
    // Clients whose stream ends come back at once, and must not find nothing.
    if (before !== null && next !== null) await this.#ready(next);
    this.#serving = next;
    await end(before);
  }

  #begin(stream: StreamInfo): Serving {
    const { storage, clock, logger, compile } = this.#options;
    const reader = storage.reader(stream.id);
    const rules = compile(stream);
    const feed: CheckpointFeed = new CheckpointFeed({
      reader,
      storage,
      clock,
      logger: logger.child({ stream: stream.id }),
      readAhead: (news) => readAhead(version, news),
    });
    const stop = new AbortController();
    const version: ServedVersion = {
      stream,
      rules,
      feed,
      sums: new BucketSums({ reader, mayHaveChanged: (bucket, asOf) => feed.mayHaveChanged(bucket, asOf) }),
      lookups: new LookupReads(reader),
      reads: new SharedReads({ reader, isRecent: (opId) => feed.isRecent(opId) }),
    };
    logger.info({ stream: stream.id }, 'Serving clients from the stream');
    return { id: stream.id, version, stop, done: feed.run(stop.signal) };
  }

  /** Its first checkpoint has been read; it has one, for it is active. */
  #ready({ version }: Serving): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.timer(READY_MS, resolve);
      void version.feed.ready.then(() => {
        cancel();
        resolve();
      });
    });
  }

  async #end(): Promise<void> {
    const before = this.#serving;
    this.#serving = null;
    await end(before);
  }
}

/** Sums and ops for those who will be woken, both at once. */
function readAhead({ sums, reads }: ServedVersion, { before, opId, buckets }: NewsForMany): ReadsAhead {
  const requests = buckets.map((bucket) => ({ bucket, after: before }));
  const { ready, forget } = reads.readAhead(opId, requests);
  return { ready: Promise.allSettled([sums.at(opId, buckets), ready]).then(() => {}), forget };
}

async function end(serving: Serving | null): Promise<void> {
  serving?.stop.abort(new Error('the stream is no longer active'));
  await serving?.done;
}
