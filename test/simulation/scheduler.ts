/**
 * Deterministic concurrency: everything that could take time parks here, and a seeded driver decides who goes on next.
 * A run is a pure function of its seed, so a failing seed replays exactly.
 */
import type { Random } from '@sluice/core';

interface Parked {
  readonly name: string;
  readonly resume: () => void;
}

export class Scheduler {
  readonly #random: Random;
  #parked: Parked[] = [];
  readonly trace: string[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Waits for its turn. After `dropAll`, never. */
  turn(name: string): Promise<void> {
    return new Promise((resume) => {
      this.#parked.push({ name, resume });
    });
  }

  get parked(): number {
    return this.#parked.length;
  }

  /** Lets one parked step go on, chosen by the seed, and waits until nothing more happens by itself. */
  async step(): Promise<void> {
    const index = Math.floor(this.#random() * this.#parked.length);
    const [chosen] = this.#parked.splice(index, 1);
    if (chosen !== undefined) {
      this.trace.push(chosen.name);
      chosen.resume();
    }
    await settled();
  }

  /** The process dies: whoever waits here waits for ever. */
  dropAll(): void {
    this.trace.push('CRASH');
    this.#parked = [];
  }
}

/** Resolves when all promises that can settle without I/O have settled. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
