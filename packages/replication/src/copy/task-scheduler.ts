/**
 * The tasks that this process reads: chosen from the stored queue, claimed, read N at a time, stopped when they may not go
 * on, and cut in two where a place would stay free. Other processes may do the same with the rest of the queue.
 */
import type { Clock, Logger } from '@sluice/core';
import type { CopyWriter, SnapshotControl, StreamReader, TableState, TaskRef } from '@sluice/storage';
import type { ChangeSource } from '../change-source.ts';
import type { CopyFailures } from './copy-failures.ts';
import type { CopyProgress } from './copy-progress.ts';
import { chooseDisplaced, chooseSplit, chooseTasks, isHeld, type QueuedTask, tableName } from './copy-order.ts';
import { type Allowance, placesOf } from './governor.ts';
import type { Pace } from './pace.ts';
import type { RetryFacts, Tried } from './retries.ts';
import { runSnapshotTask, type SnapshotTaskPorts } from './snapshot-task.ts';
import { nameOf, type RunSignals, TaskRuns } from './task-runs.ts';

export interface TaskSchedulerPorts extends SnapshotTaskPorts {
  readonly source: ChangeSource;
  readonly reader: StreamReader;
  readonly writer: CopyWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly progress: CopyProgress;
  readonly pace: Pace;
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
    if (runs.size >= limit || runs.isSplitting) return;
    const stored = new Map(queued.map((each) => [nameOf(each), each]));
    const now = runs.running.flatMap((run) => stored.get(nameOf(run)) ?? []);
    const split = chooseSplit(now.filter((run) => !this.#whole.has(nameOf(run))));
    if (split !== null) runs.stopToSplit(split);
  }

  #isWaiting({ table, task }: QueuedTask): boolean {
    const { writer, failures } = this.#ports;
    const isFree = task.claimedBy === null || task.claimedBy === writer.claimant;
    return isFree && this.#runs.isWaiting(table, task) && !failures.mustWait(triedOf({ table, task }));
  }

  settled(): Promise<void> {
    return this.#runs.settled();
  }

  async #read(queued: QueuedTask, signals: RunSignals): Promise<'done' | 'again'> {
    const task = await this.#ports.writer.claimTask(refOf(queued));
    if (task === null) return 'again';
    const { table } = queued;
    const result = await runSnapshotTask(this.#ports, { table, task, ...signals });
    this.#ports.failures.succeeded(triedOf(queued));
    return result;
  }

  /** The task has stopped: what it has not read yet becomes two tasks, in one transaction. */
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
      const stored = await writer.splitTask({ tableId: table.id, generation, index, cursor, kept, given });
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
