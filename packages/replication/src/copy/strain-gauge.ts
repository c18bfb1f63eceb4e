/** Makes of what the source and the stream say, look by look, what the governor judges by. */
import type { Clock, Position } from '@sluice/core';
import type { SourceHealth } from '../change-source.ts';
import type { StreamProgress } from '../stream/stream-progress.ts';
import type { Pressure } from './governor.ts';

type StreamWork = Pick<StreamProgress, 'durable' | 'flushes' | 'flushMs'>;

export class StrainGauge {
  readonly #clock: Clock;
  /** Heads that were not durable here when last looked at, oldest first. */
  #ahead: { readonly head: Position; readonly at: number }[] = [];
  #flushes = 0;
  #flushMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  read(health: SourceHealth, stream: StreamWork): Pressure {
    const now = this.#clock.monotonic();
    const { durable } = stream;
    this.#ahead.push({ head: health.head, at: now });
    this.#ahead = this.#ahead.filter(({ head }) => durable === null || head > durable);
    const oldest = this.#ahead[0];
    const flushes = stream.flushes - this.#flushes;
    const flushMs = flushes === 0 ? null : (stream.flushMs - this.#flushMs) / flushes;
    this.#flushes = stream.flushes;
    this.#flushMs = stream.flushMs;
    return {
      retainedBytes: health.retainedBytes,
      budgetBytes: health.budgetBytes,
      behindMs: oldest === undefined ? null : now - oldest.at,
      flushMs,
    };
  }
}
