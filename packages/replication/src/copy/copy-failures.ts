/**
 * What becomes of a failure that concerns one task or one table: it is tried again by itself, or the table waits for a
 * person, and the others go on. Whatever else fails ends the attempt.
 */
import type { Clock, Logger, Random, SluiceError } from '@sluice/core';
import type { SnapshotControl, SnapshotControlChange, TableState } from '@sluice/storage';
import { tableName } from './copy-order.ts';
import { Retries, type RetryFacts, type Tried } from './retries.ts';
import { consequenceOf, ReadFailure } from './task-failure.ts';

export interface CopyFailurePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly control: (changes: readonly SnapshotControlChange[]) => Promise<SnapshotControl>;
  /** Whether the table ended: then it does not matter what becomes of its copy. */
  readonly isEnded: (table: TableState) => boolean;
  /** Something may be tried (again) now, or never. */
  readonly onChange: () => void;
}

export class CopyFailures {
  readonly #ports: CopyFailurePorts;
  readonly #retries: Retries;
  #failure: { readonly error: unknown } | null = null;

  constructor(ports: CopyFailurePorts) {
    this.#ports = ports;
    this.#retries = new Retries(ports.clock, ports.random);
  }

  facts(): readonly RetryFacts[] {
    return this.#retries.facts();
  }

  mustWait(tried: Tried): boolean {
    return this.#retries.mustWait(tried);
  }

  succeeded(tried: Tried): void {
    this.#retries.succeeded(tried);
  }

  /** Ends the attempt, at the next `throwIfAny`. */
  add(error: unknown): void {
    this.#failure ??= { error };
    this.#ports.onChange();
  }

  throwIfAny(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** @param signal of the attempt: what fails because it ends is no failure of the table */
  async failed(
    { table, tried, error }: { readonly table: TableState; readonly tried: Tried; readonly error: unknown },
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#ports.isEnded(table)) return;
    const reason = error instanceof ReadFailure ? error.reason : null;
    const consequence =
      reason === null || signal.aborted ? 'attempt' : consequenceOf(reason, this.#retries.failuresOf(tried));
    if (reason === null || consequence === 'attempt') return this.add(reason ?? error);
    if (consequence === 'quarantine') return this.#quarantine(table, reason);
    const waitMs = this.#retries.failed(tried, reason);
    const { code, message } = reason;
    this.#ports.logger.warn(
      { table: tableName(table), task: tried.index, code, waitMs },
      `a part of the copy failed and is tried again: ${message}`,
    );
    this.#ports.clock.sleep(waitMs, signal).then(this.#ports.onChange, () => undefined);
  }

  /** The other tables go on; this one waits for a person. */
  async #quarantine(table: TableState, reason: SluiceError): Promise<void> {
    const { control, clock, logger, onChange } = this.#ports;
    const { code, message, hint } = reason;
    const name = tableName(table);
    logger.error({ table: name, code, hint }, `the copy of a table is halted, the others go on: ${message}`);
    try {
      const hold = { kind: 'quarantined', atMs: clock.now(), tableId: table.id, code, message } as const;
      await control([{ kind: 'hold', table: name, hold }]);
    } catch (error) {
      this.add(error);
    }
    onChange();
  }
}
