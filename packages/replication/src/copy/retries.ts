/** Failures in a row of tasks and plans, and when each may be tried again. Gone with the process: then all are tried at once. */
import type { Clock, Random, SluiceError, TableId } from '@sluice/core';
import type { JsonValue } from '@sluice/storage';
import { backoffMs } from '../supervisor.ts';

/** What failed: the task of an index, or the plan of its table. */
export interface Tried {
  readonly tableId: TableId;
  readonly generation: number;
  readonly index: number | null;
  /** From where it was tried: a task that got further since has not failed in a row. */
  readonly cursor: JsonValue | null;
}

export interface RetryFacts {
  readonly tableId: TableId;
  readonly index: number | null;
  readonly failures: number;
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
  readonly nextAtMs: number;
}

interface Failed {
  readonly cursor: string;
  readonly failures: number;
  readonly until: number;
  readonly facts: RetryFacts;
}

export class Retries {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #failed = new Map<string, Failed>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** In a row, with the one that is about to be recorded. */
  failuresOf(tried: Tried): number {
    const before = this.#failed.get(nameOf(tried));
    return before?.cursor === JSON.stringify(tried.cursor) ? before.failures + 1 : 1;
  }

  /** @returns how long to wait */
  failed(tried: Tried, error: SluiceError): number {
    const failures = this.failuresOf(tried);
    const waitMs = backoffMs(failures, this.#random);
    const atMs = this.#clock.now();
    const { tableId, index } = tried;
    this.#failed.set(nameOf(tried), {
      cursor: JSON.stringify(tried.cursor),
      failures,
      until: this.#clock.monotonic() + waitMs,
      facts: { tableId, index, failures, code: error.code, message: error.message, atMs, nextAtMs: atMs + waitMs },
    });
    return waitMs;
  }

  succeeded(tried: Tried): void {
    this.#failed.delete(nameOf(tried));
  }

  mustWait(tried: Tried): boolean {
    const failed = this.#failed.get(nameOf(tried));
    return failed !== undefined && failed.until > this.#clock.monotonic();
  }

  facts(): readonly RetryFacts[] {
    return [...this.#failed.values()].map(({ facts }) => facts);
  }
}

function nameOf({ tableId, generation, index }: Tried): string {
  return `${tableId}.${generation}.${index}`;
}
