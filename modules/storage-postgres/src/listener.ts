/**
 * The one connection of a process that hears of what others write. It asks for a sign of life by itself, since a network
 * may swallow a connection without a word; whenever it is made anew, everything is looked at, because it may have missed
 * something. Nobody depends on it: behind it stands polling.
 */
import type { Clock, Logger, Random } from '@sluice/core';
import type { Client } from 'pg';
import { type Names, quoted } from './names.ts';

export interface ListenerOptions {
  readonly names: Names;
  /** With a limit for the answer to a query. */
  readonly connect: () => Promise<Client>;
  /** @param about what was written: a stream's id, or `streams`; null if anything may have been */
  readonly onNews: (about: string | null) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const SIGN_OF_LIFE_MS = 10_000;
const BACKOFF_MAX_MS = 5_000;

export class Listener {
  readonly #options: ListenerOptions;
  #stop: AbortController | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Idempotent. */
  start(): void {
    if (this.#stop !== null) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#ended = this.#run(stop.signal);
  }

  async close(): Promise<void> {
    this.#stop?.abort();
    await this.#ended;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#listen(signal, () => (failures = 0));
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        logger.debug({ error: String(error), failures }, 'the storage listener lost its connection');
        const waitMs = Math.min(BACKOFF_MAX_MS, 50 * 2 ** failures) * (0.5 + random() / 2);
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  /** Until the connection is lost or the signal aborts. */
  async #listen(signal: AbortSignal, onListening: () => void): Promise<void> {
    const { names, connect, clock, onNews } = this.#options;
    const client = await connect();
    const lost = new AbortController();
    const onLost = () => lost.abort();
    client.on('error', onLost);
    client.on('end', onLost);
    try {
      client.on('notification', ({ payload }) => onNews(payload ?? null));
      await client.query(`listen ${quoted(names.channel)}`);
      onListening();
      onNews(null);
      const either = AbortSignal.any([signal, lost.signal]);
      for (;;) {
        await clock.sleep(SIGN_OF_LIFE_MS, either);
        await client.query('select 1');
      }
    } finally {
      client.end().catch(() => undefined);
    }
  }
}
