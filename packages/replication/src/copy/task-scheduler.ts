/**
 * The tasks that this process reads: chosen from the stored queue, claimed, read N at a time, stopped when they may not go
 * on, and cut in two where a place would stay free. Other processes may do the same with the rest of the queue.
 */
import type { Logger } from '@sluice/core';
import type { SnapshotControl, StreamReader, TableState, TaskRef } from '@sluice/storage';
import type { CopyFailures } from './copy-failures.ts';
import { chooseDisplaced, chooseSplit, chooseTasks, isHeld, type QueuedTask, tableName } from './copy-order.ts';
import { type Allowance, placesOf } from './governor.ts';
import type { RetryFacts, Tried } from './retries.ts';
import { runSnapshotTask, type SnapshotTaskPorts } from './snapshot-task.ts';
import { nameOf, type RunSignals, TaskRuns } from './task-runs.ts';

export interface TaskSchedulerPorts extends SnapshotTaskPorts {
  readonly reader: StreamReader;
  readonly logger: Logger;
  readonly failures: CopyFailures;
  /** Tasks read at once, unless an operator has stored another number. */
  readonly concurrency: number;
  readonly onEnd: () => void;
}

/** What the copy may do now, and what it waits for. */
export interface CopyScheduleFacts {
  /** Tasks that may be read at once, as configured or set by an operator. */
  readonly concurrency: number;
  readonly allowance: Allowance;
  readonly retries: readonly RetryFacts[];
  /** Of all tasks, whoever has read them, when they were last looked at. */
  readonly storedRows: number;
}

export class TaskScheduler {
  readonly #ports: TaskSchedulerPorts;
  readonly #runs: TaskRuns;
  /** Tasks that the source could not cut in two. */
  readonly #whole = new Set<string>();
  /** A task of another process that is being cut. */
  #cutting: Promise<void> | null = null;
  #concurrency: number;
  #storedRows = 0;

  constructor(ports: TaskSchedulerPorts) {
    this.#ports = ports;
    this.#concurrency = ports.concurrency;
    this.#runs = new TaskRuns({
      read: (queued, signals) => this.#read(queued, signals),
      split: (queued) => this.#split(queued),
      onFailure: (queued, error, signal) =>
        ports.failures.failed({ table: queued.table, tried: triedOf(queued), error }, signal),
      release: (queued) => this.#release(queued),
      onEnd: () => {
        ports.progress.activeTasks = this.#runs.size;
        ports.onEnd();
      },
    });
  }

  facts(): CopyScheduleFacts {
    const { pace, failures } = this.#ports;
    return {
      concurrency: this.#concurrency,
      allowance: pace.allowance,
      retries: failures.facts(),
      storedRows: this.#storedRows,
    };
  }

  /** Whether a task of the table is still being read. */
  isReading(table: TableState): boolean {
    return this.#runs.running.some((run) => run.table.id === table.id);
  }

  /** Asks the table's tasks to stop after the chunk they are at. */
  stop(table: TableState): void {
    this.#runs.stopWhere((run) => run.table.id === table.id);
  }

  /**
   * Stops what may not go on, fills free places, and cuts a task in two where a place would stay free.
   * @param signal ends what is begun
   */
  schedule(queued: readonly QueuedTask[], control: SnapshotControl, signal: AbortSignal): void {
    const runs = this.#runs;
    this.#concurrency = control.concurrency ?? this.#ports.concurrency;
    this.#storedRows = queued.reduce((sum, { task }) => sum + task.rows, 0);
    runs.stopWhere(({ table }) => isHeld(table, control));
    const limit = placesOf(this.#ports.pace.allowance, this.#concurrency);
    runs.stopBeyond(limit);
    const waiting = queued.filter((each) => !isHeld(each.table, control) && this.#isWaiting(each));
    const places = Math.max(0, limit - runs.size);
    for (const next of chooseTasks(waiting, runs.running, { places, control })) runs.start(next, signal);
    this.#ports.progress.activeTasks = runs.size;
    const displaced = places > 0 ? null : chooseDisplaced(waiting, runs.running, control);
    if (displaced !== null) runs.stopWhere((run) => run === displaced);
    if (runs.size < limit && !runs.isSplitting && this.#cutting === null) this.#divide(queued, control);
  }

  /** Makes two tasks of the largest that is read, here or by others. */
  #divide(queued: readonly QueuedTask[], control: SnapshotControl): void {
    const own = new Set(this.#runs.running.map(nameOf));
    const read = queued.filter(({ table, task }) => {
      const name = nameOf({ table, task });
      if (task.state === 'done' || isHeld(table, control) || this.#whole.has(name)) return false;
      return own.has(name) || (task.claimedBy !== null && task.claimedBy !== this.#ports.writer.claimant);
    });
    const largest = chooseSplit(read);
    if (largest === null) return;
    if (own.has(nameOf(largest))) this.#runs.stopToSplit(largest);
    else this.#cutOther(largest);
  }

  /** Who reads it finds out at the next flush, and loses that chunk. */
  #cutOther(queued: QueuedTask): void {
    const { failures, onEnd } = this.#ports;
    this.#cutting = this.#split(queued)
      .catch((error: unknown) => failures.add(error))
      .finally(() => {
        this.#cutting = null;
        onEnd();
      });
  }

  #isWaiting({ table, task }: QueuedTask): boolean {
    const { writer, failures } = this.#ports;
    const isFree = task.claimedBy === null || task.claimedBy === writer.claimant;
    return isFree && this.#runs.isWaiting(table, task) && !failures.mustWait(triedOf({ table, task }));
  }

  async settled(): Promise<void> {
    await Promise.all([this.#runs.settled(), this.#cutting]);
  }

  async #read(queued: QueuedTask, signals: RunSignals): Promise<'done' | 'again'> {
    const task = await this.#ports.writer.claimTask(refOf(queued));
    if (task === null) return 'again';
    const { table } = queued;
    const result = await runSnapshotTask(this.#ports, { table, task, ...signals });
    this.#ports.failures.succeeded(triedOf(queued));
    return result;
  }

  /** What is not read yet of the task becomes two tasks, in one transaction: one that has stopped, or another process's. */
  async #split({ table, task }: QueuedTask): Promise<void> {
    const { reader, source, writer, logger } = this.#ports;
    const now = (await reader.tasks()).find((each) => each.tableId === table.id && each.index === task.index);
    if (now === undefined || now.state === 'done') return;
    const { range, cursor, rowsEstimate, bytesEstimate, index } = now;
    const { relation, generation } = table;
    const parts = await source
      .splitTask({ relation, range, cursor, rowsEstimate, bytesEstimate })
      .catch((error: unknown) => {
        logger.debug({ table: tableName(table), task: index, error }, 'a task could not be cut in two');
        return null;
      });
    if (parts === null) this.#whole.add(nameOf({ table, task }));
    else {
      const [kept, given] = parts;
      const stored = await writer.splitTask({ tableId: table.id, generation, index, range, cursor, kept, given });
      if (stored) logger.info({ table: tableName(table), task: index }, 'the rest of a task was cut in two');
    }
  }

  async #release(queued: QueuedTask): Promise<void> {
    try {
      await this.#ports.writer.releaseTask(refOf(queued));
    } catch (error) {
      this.#ports.failures.add(error);
    }
  }
}

function refOf({ table, task }: QueuedTask): TaskRef {
  return { tableId: table.id, generation: table.generation, index: task.index };
}

function triedOf(queued: QueuedTask): Tried {
  return { ...refOf(queued), cursor: queued.task.cursor };
}
