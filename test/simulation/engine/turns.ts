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

function pass(): void {}

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

  /** Who waits longest. */
  get first(): string | undefined {
    return this.#waiting[0]?.label;
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
        // As late as whoever awaits a sleep would hear of it.
        const entry = this.#push(`${who}sleep ${ms}`, ms, () => void Promise.resolve().then(pass).then(callback));
        return () => this.#leave(entry);
      },
    };
  }

  async #sleep(label: string, ms: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const entry = this.#push(label, ms, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      const abort = () => {
        this.#leave(entry);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  #push(label: string, ms: number, then: () => void): Waiting {
    const wake = () => {
      this.#now += ms;
      then();
    };
    const entry: Waiting = { label, goOn: wake, fail: wake };
    this.#waiting.push(entry);
    return entry;
  }

  #leave(entry: Waiting): void {
    const index = this.#waiting.indexOf(entry);
    if (index >= 0) this.#waiting.splice(index, 1);
  }
}
