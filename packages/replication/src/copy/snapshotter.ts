/**
 * The snapshotter: a queue of tables and tasks that lives in storage, worked off N at a time beside the stream. It never
 * publishes. Round after round it looks at what is stored: tables that nobody holds are planned, waiting tasks are read,
 * tables whose tasks are done are completed; when none is pending, the snapshot gate is opened and a marker sent through
 * the source, so that even an idle source brings the commit that passes the gate.
 *
 * A failure that concerns one task or one table stays with it; docs/decisions/0009-read-plan-and-scheduler.md says which.
 */
import { Latest, type Random, type SluiceError } from '@sluice/core';
import {
  holdsCheckpoints,
  type SnapshotControl,
  type SnapshotControlChange,
  tableControl,
  type TableState,
} from '@sluice/storage';
import { chooseDisplaced, chooseSplit, chooseTasks, isHeld, type QueuedTask, tableName } from './copy-order.ts';
import { type Allowance, placesOf } from './governor.ts';
import { Retries, type RetryFacts, type Tried } from './retries.ts';
import { consequenceOf, ReadFailure } from './task-failure.ts';
import { nameOf, TaskRuns } from './task-runs.ts';
import { completePartialRows } from '../rows/partial-rows.ts';
import { sweepTable } from './sweep-table.ts';
import { runSnapshotTask, type SnapshotTaskPorts } from './snapshot-task.ts';

/** How often what operators have stored is looked at while tables are pending. */
const LOOK_MS = 500;

export interface SnapshotterPorts extends SnapshotTaskPorts {
  readonly random: Random;
  /** Tasks read at once, unless an operator has stored another number. */
  readonly concurrency: number;
  readonly control: (changes: readonly SnapshotControlChange[]) => Promise<SnapshotControl>;
}

/** What the copy may do now, and what it waits for. */
export interface CopyScheduleFacts {
  /** Tasks that may be read at once, as configured or set by an operator. */
  readonly concurrency: number;
  readonly allowance: Allowance;
  readonly retries: readonly RetryFacts[];
}

export class Snapshotter {
  readonly #ports: SnapshotterPorts;
  /** Set whenever the stored queue may have changed. */
  readonly #queue = new Latest(0);
  readonly #runs: TaskRuns;
  readonly #retries: Retries;
  /** Tables that are being completed. */
  readonly #completing = new Map<number, Promise<void>>();
  /** Tasks that the source could not cut in two. */
  readonly #whole = new Set<string>();
  #concurrency: number;
  #failure: { readonly error: unknown } | null = null;
  #signal = new AbortController().signal;

  constructor(ports: SnapshotterPorts) {
    this.#ports = ports;
    this.#concurrency = ports.concurrency;
    this.#retries = new Retries(ports.clock, ports.random);
    this.#runs = new TaskRuns({
      read: (queued, stop) => this.#read(queued, stop),
      split: (queued) => this.#split(queued),
      onFailure: (queued, error) => this.#taskFailed(queued, error),
      onEnd: () => {
        ports.progress.activeTasks = this.#runs.size;
        this.wake();
      },
    });
  }

  /** The stored queue has changed: look again. Carries no data. */
  wake(): void {
    this.#queue.set(this.#queue.value + 1);
  }

  facts(): CopyScheduleFacts {
    const { allowance } = this.#ports.pace;
    return { concurrency: this.#concurrency, allowance, retries: this.#retries.facts() };
  }

  /** Runs until aborted; ends early only by throwing. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    try {
      for (;;) {
        // Read before looking, so that a wake during the look is not lost.
        const version = this.#queue.version;
        const idle = (await this.#round()) === 'idle';
        if (this.#failure !== null) throw this.#failure.error;
        const forget = idle ? undefined : this.#ports.clock.timer(LOOK_MS, () => this.wake());
        await this.#queue.changed(version, signal).finally(forget);
      }
    } finally {
      await Promise.allSettled([this.#runs.settled(), ...this.#completing.values()]);
    }
  }

  async #round(): Promise<'busy' | 'idle'> {
    const { reader } = this.#ports;
    const all = await reader.tables();
    if (!all.some(holdsCheckpoints)) await this.#finish();
    const pending = all.filter((table) => this.#isPending(table));
    if (pending.length === 0) return 'idle';
    const control = await reader.snapshotControl();
    this.#concurrency = control.concurrency ?? this.#ports.concurrency;
    await this.#cancel(pending, control);
    await this.#planAll(pending, control);
    const tables = (await reader.tables()).filter((table) => this.#isPending(table) && table.plan !== null);
    const tasks = await reader.tasks();
    const queued: QueuedTask[] = [];
    for (const table of tables) {
      const own = tasks.filter((task) => task.tableId === table.id);
      // No tasks: the table was sent back to the start between the two reads, and is planned in the next round.
      if (own.length > 0 && own.every((task) => task.state === 'done')) this.#complete(table);
      queued.push(...own.map((task) => ({ table, task })));
    }
    this.#schedule(queued, control);
    return 'busy';
  }

  #isPending({ id, snapshot }: TableState): boolean {
    return snapshot === 'pending' && !this.#ports.catalog.isEnded(id);
  }

  async #cancel(pending: readonly TableState[], control: SnapshotControl): Promise<void> {
    for (const table of pending) {
      if (table.plan === null || tableControl(control, tableName(table)).hold?.kind !== 'cancelled') continue;
      this.#runs.stopWhere((run) => run.table.id === table.id);
      if (this.#runs.running.some((run) => run.table.id === table.id)) continue;
      await this.#ports.writer.markTableSnapshotRequired(table.id);
      this.#ports.logger.info({ table: tableName(table) }, 'copy cancelled; it starts over when it is resumed');
    }
  }

  async #planAll(pending: readonly TableState[], control: SnapshotControl): Promise<void> {
    for (const table of pending) {
      if (table.plan !== null || !this.#ports.catalog.isReadable(table.id) || isHeld(table, control)) continue;
      const tried: Tried = { tableId: table.id, generation: table.generation, index: null, cursor: null };
      if (this.#retries.mustWait(tried)) continue;
      try {
        await this.#plan(table);
        this.#retries.succeeded(tried);
      } catch (error) {
        await this.#failed(table, tried, error);
      }
    }
  }

  async #plan(table: TableState): Promise<void> {
    const { source, writer, logger } = this.#ports;
    const read = source.planTable(table.relation).catch((error: unknown) => {
      throw new ReadFailure(error);
    });
    const { tasks, ...plan } = await read;
    await writer.planTable(
      table.id,
      plan,
      tasks.map((task, index) => ({ index, ...task })),
    );
    logger.info({ table: tableName(table), tasks: tasks.length, ...plan }, 'copy planned');
  }

  /** Stops what may not go on, fills free places, and cuts a task in two where a place would stay free. */
  #schedule(queued: readonly QueuedTask[], control: SnapshotControl): void {
    const runs = this.#runs;
    runs.stopWhere(({ table }) => isHeld(table, control));
    const limit = placesOf(this.#ports.pace.allowance, this.#concurrency);
    runs.stopBeyond(limit);
    const waiting = queued.filter(({ table, task }) => {
      if (isHeld(table, control) || !runs.isWaiting(table, task)) return false;
      return !this.#retries.mustWait(triedOf({ table, task }));
    });
    const places = Math.max(0, limit - runs.size);
    for (const next of chooseTasks(waiting, runs.running, { places, control })) runs.start(next);
    this.#ports.progress.activeTasks = runs.size;
    const displaced = places > 0 ? null : chooseDisplaced(waiting, runs.running, control);
    if (displaced !== null) runs.stopWhere((run) => run === displaced);
    if (runs.size >= limit || runs.isSplitting) return;
    const stored = new Map(queued.map((each) => [nameOf(each), each]));
    const now = runs.running.flatMap((run) => stored.get(nameOf(run)) ?? []);
    const split = chooseSplit(now.filter((run) => !this.#whole.has(nameOf(run))));
    if (split !== null) runs.stopToSplit(split);
  }

  async #read(queued: QueuedTask, stop: AbortSignal): Promise<'done' | 'again'> {
    const result = await runSnapshotTask(this.#ports, { ...queued, stop, signal: this.#signal });
    this.#retries.succeeded(triedOf(queued));
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

  async #taskFailed(queued: QueuedTask, error: unknown): Promise<void> {
    await this.#failed(queued.table, triedOf(queued), error);
  }

  async #failed(table: TableState, tried: Tried, error: unknown): Promise<void> {
    // A table may end at any moment; then it does not matter what becomes of its copy.
    if (this.#ports.catalog.isEnded(table.id)) return;
    const reason = error instanceof ReadFailure ? error.reason : null;
    const consequence =
      reason === null || this.#signal.aborted ? 'attempt' : consequenceOf(reason, this.#retries.failuresOf(tried));
    if (reason === null || consequence === 'attempt') {
      this.#failure ??= { error: reason ?? error };
      return this.wake();
    }
    if (consequence === 'quarantine') return this.#quarantine(table, reason);
    const waitMs = this.#retries.failed(tried, reason);
    const { code, message } = reason;
    this.#ports.logger.warn(
      { table: tableName(table), task: tried.index, code, waitMs },
      `a part of the copy failed and is tried again: ${message}`,
    );
    this.#ports.clock.sleep(waitMs, this.#signal).then(
      () => this.wake(),
      () => undefined,
    );
  }

  /** The other tables go on; this one waits for a person. */
  async #quarantine(table: TableState, reason: SluiceError): Promise<void> {
    const { control, clock, logger } = this.#ports;
    const { code, message, hint } = reason;
    const name = tableName(table);
    logger.error({ table: name, code, hint }, `the copy of a table is halted, the others go on: ${message}`);
    try {
      const hold = { kind: 'quarantined', atMs: clock.now(), tableId: table.id, code, message } as const;
      await control([{ kind: 'hold', table: name, hold }]);
    } catch (error) {
      this.#failure ??= { error };
    }
    this.wake();
  }

  /** All rows of the table were read and are durable. */
  #complete(table: TableState): void {
    if (this.#completing.has(table.id)) return;
    const { source, writer, logger } = this.#ports;
    const complete = async () => {
      if (table.unconfirmed && !(await sweepTable(writer, table, logger))) return;
      const position = await source.head();
      await writer.markTableSnapshotDone(table.id, table.generation, position);
      logger.info({ table: tableName(table), position }, 'table copied');
    };
    const completing = complete()
      .catch((error: unknown) => {
        if (!this.#ports.catalog.isEnded(table.id)) this.#failure ??= { error };
      })
      .finally(() => {
        this.#completing.delete(table.id);
        this.wake();
      });
    this.#completing.set(table.id, completing);
  }

  /**
   * Opens the snapshot gate. Rows that miss values are completed here, behind the marks of all tables: one that the
   * stream leaves partial from now on, it completes itself before it publishes.
   */
  async #finish(): Promise<void> {
    const { reader, writer, source, logger } = this.#ports;
    if ((await reader.checkpointState()).snapshotDone) return;
    for (const table of await reader.tables()) {
      if (table.snapshot === 'done') await completePartialRows(this.#ports, table, this.#signal);
    }
    const position = await source.head();
    const pending = await writer.markAllSnapshotDone(position);
    if (pending.length > 0) return this.wake();
    logger.info({ position }, 'all tables copied');
    // After the mark: an event that passes the gate must come even if nobody writes to the source (rule R10).
    await source.marker();
  }
}

function triedOf({ table, task }: QueuedTask): Tried {
  return { tableId: table.id, generation: table.generation, index: task.index, cursor: task.cursor };
}
