/**
 * Deterministic concurrency: everything that could take time waits here for its turn, and whoever drives the simulation
 * decides who goes on next, with which draw of chance, or who fails. Between two steps nothing moves.
 */
import type { Clock } from '@sluice/core';

/** Who takes turns: a process of the simulation. */
export interface TurnTaker {
  readonly clock: Clock;
  /** Waits until the driver lets it go on, with a number in [0, 1) to decide by; rejects if the driver lets it fail. */
  take(label: string): Promise<number>;
  /** Work that is under way: a step is over only when it has ended, however long a disk takes. */
  during<T>(work: Promise<T>): Promise<T>;
}

interface Waiting {
  readonly label: string;
  readonly goOn: (draw: number) => void;
  readonly fail: (error: Error) => void;
}

export class Turns implements TurnTaker {
  #waiting: Waiting[] = [];
  #busy = 0;
  #now = 0;

  take(label: string): Promise<number> {
    return new Promise((goOn, fail) => {
      this.#waiting.push({ label, goOn, fail });
    });
  }

  async during<T>(work: Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work;
    } finally {
      this.#busy--;
    }
  }

  get labels(): readonly string[] {
    return this.#waiting.map(({ label }) => label);
  }

  /** @returns whether somebody waited under the label */
  goOn(label: string, draw: number): boolean {
    const waiting = this.#remove(label);
    waiting?.goOn(draw);
    return waiting !== undefined;
  }

  fail(label: string, error: Error): boolean {
    const waiting = this.#remove(label);
    waiting?.fail(error);
    return waiting !== undefined;
  }

  #remove(label: string): Waiting | undefined {
    const index = this.#waiting.findIndex((waiting) => waiting.label === label);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }

  /** Resolves when nothing can happen any more before somebody's turn. */
  async quiet(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#busy > 0);
  }

  readonly clock = this.#clockOf('');

  /** Another process, whose labels begin with its name. */
  as(name: string): TurnTaker {
    return {
      clock: this.#clockOf(`${name} `),
      take: (label) => this.take(`${name} ${label}`),
      during: (work) => this.during(work),
    };
  }

  /** Time passes when somebody who sleeps gets a turn. */
  #clockOf(who: string): Clock {
    const sleep = (ms: number, signal?: AbortSignal) => this.#sleep(`${who}sleep ${ms}`, ms, signal);
    return {
      now: () => this.#now,
      monotonic: () => this.#now,
      sleep,
      timer: (ms, callback) => {
        const cancelled = new AbortController();
        sleep(ms, cancelled.signal).then(callback, () => {});
        return () => cancelled.abort();
      },
    };
  }

  async #sleep(label: string, ms: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const wake = () => {
        signal?.removeEventListener('abort', abort);
        this.#now += ms;
        resolve();
      };
      const entry: Waiting = { label, goOn: wake, fail: wake };
      const abort = () => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== entry);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(entry);
    });
  }
}
