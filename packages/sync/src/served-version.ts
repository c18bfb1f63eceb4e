/**
 * The stream that clients are served from, and what their connections share: its rules, its reader, its feed. When
 * another stream becomes active, this one ends, its connections with it, and clients come back to the new one.
 */
import { asSluiceError, type Clock, Latest, type Logger, type StreamId } from '@sluice/core';
import type { BucketStorage, StreamInfo, StreamReader } from '@sluice/storage';
import type { SyncRules } from '@sluice/sync-rules';
import { BucketSums } from './bucket-sums.ts';
import { CheckpointFeed } from './checkpoint-feed.ts';

export interface ServedVersion {
  readonly stream: StreamInfo;
  readonly rules: SyncRules;
  readonly reader: StreamReader;
  readonly feed: CheckpointFeed;
  readonly sums: BucketSums;
}

export interface ServedVersionsOptions {
  readonly storage: Pick<BucketStorage, 'listStreams' | 'watchStreams' | 'reader'>;
  /** Compiles the rules of a stream, exactly as its writer did: bucket names must be the same. */
  readonly compile: (stream: StreamInfo) => SyncRules;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 1_000;

export class ServedVersions {
  readonly #options: ServedVersionsOptions;
  readonly #current = new Latest<ServedVersion | null>(null);
  #serving: { readonly id: StreamId; readonly end: AbortController; readonly done: Promise<void> } | null = null;

  constructor(options: ServedVersionsOptions) {
    this.#options = options;
  }

  /** What clients are served from now; null while no stream is active. */
  get current(): ServedVersion | null {
    return this.#current.value;
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
    await this.#end();
    if (active !== undefined) this.#begin(active);
  }

  #begin(stream: StreamInfo): void {
    const { storage, clock, logger, compile } = this.#options;
    const reader = storage.reader(stream.id);
    const rules = compile(stream);
    const feed = new CheckpointFeed({ reader, clock, logger: logger.child({ stream: stream.id }) });
    const end = new AbortController();
    this.#serving = { id: stream.id, end, done: feed.run(end.signal) };
    this.#current.set({ stream, rules, reader, feed, sums: new BucketSums(reader) });
    logger.info({ stream: stream.id }, 'Serving clients from the stream');
  }

  async #end(): Promise<void> {
    const serving = this.#serving;
    if (serving === null) return;
    this.#serving = null;
    this.#current.set(null);
    serving.end.abort(new Error('the stream is no longer active'));
    await serving.done;
  }
}
