/**
 * The snapshotter: a queue of tables and tasks that lives in storage, worked off N at a time beside the stream. It never
 * publishes. Round after round it looks at the stored tables: unplanned ones are planned, pending tasks are read, tables
 * whose tasks are done are completed; when none is pending, the snapshot gate is opened and a marker sent through the
 * source, so that even an idle source brings the commit that passes the gate.
 */
import { Latest } from '@sluice/core';
import { holdsCheckpoints, type TableState, type TaskState } from '@sluice/storage';
import { completePartialRows } from './partial-rows.ts';
import { sweepTable } from './sweep-table.ts';
import { runSnapshotTask, type SnapshotTaskPorts } from './snapshot-task.ts';

export interface SnapshotterPorts extends SnapshotTaskPorts {
  /** Tasks read at once. */
  readonly concurrency: number;
}

export class Snapshotter {
  readonly #ports: SnapshotterPorts;
  /** Set whenever the stored queue may have changed. */
  readonly #queue = new Latest(0);
  readonly #active = new Map<string, Promise<void>>();
  /** Tasks that ended here: what was read from storage a moment before may still call them pending. */
  readonly #done = new Set<string>();
  #failure: unknown = null;

  constructor(ports: SnapshotterPorts) {
    this.#ports = ports;
  }

  /** The stored queue has changed: look again. Carries no data. */
  wake(): void {
    this.#queue.set(this.#queue.value + 1);
  }

  /** Runs until aborted; ends early only by throwing. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        // Read before looking, so that a wake during the look is not lost.
        const version = this.#queue.version;
        await this.#round(signal);
        if (this.#failure !== null) throw this.#failure;
        await this.#queue.changed(version, signal);
      }
    } finally {
      await Promise.allSettled(this.#active.values());
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { reader } = this.#ports;
    const all = await reader.tables();
    if (!all.some(holdsCheckpoints)) await this.#finish(signal);
    const pending = all.filter((table) => table.snapshot === 'pending');
    for (const table of pending.filter((candidate) => this.#mayBePlanned(candidate))) await this.#plan(table);
    const tables = (await reader.tables()).filter((table) => table.snapshot === 'pending' && table.plan !== null);
    const tasks = await reader.tasks();
    for (const table of tables) {
      const own = tasks.filter((task) => task.tableId === table.id);
      // No tasks: the table was sent back to the start between the two reads, and is planned in the next round.
      if (own.length > 0 && own.every((task) => task.state === 'done'))
        this.#start(`table ${table.id}`, () => this.#complete(table));
    }
    this.#startTasks(tables, tasks, signal);
  }

  #mayBePlanned({ id, plan }: TableState): boolean {
    return plan === null && this.#ports.catalog.isReadable(id);
  }

  async #plan(table: TableState): Promise<void> {
    const { source, writer, logger } = this.#ports;
    const { tasks, ...plan } = await source.planTable(table.relation);
    await writer.planTable(
      table.id,
      plan,
      tasks.map((task, index) => ({ index, ...task })),
    );
    logger.info({ table: tableName(table), tasks: tasks.length, ...plan }, 'copy planned');
  }

  /** Fills free places: the table with the fewest tasks under way first, within it the largest task. */
  #startTasks(tables: readonly TableState[], tasks: readonly TaskState[], signal: AbortSignal): void {
    const byId = new Map(tables.map((table) => [table.id, table]));
    const waiting = tasks.filter((task) => this.#isWaiting(task, byId.get(task.tableId)));
    const activeOf = (tableId: number) =>
      [...this.#active.keys()].filter((name) => name.startsWith(`task ${tableId}.`)).length;
    while (this.#active.size < this.#ports.concurrency && waiting.length > 0) {
      waiting.sort((a, b) => activeOf(a.tableId) - activeOf(b.tableId) || remaining(b) - remaining(a));
      const task = waiting.shift() as TaskState;
      const table = byId.get(task.tableId) as TableState;
      this.#start(taskName(task), async () => {
        const result = await runSnapshotTask(this.#ports, { table, task, signal });
        if (result === 'done') this.#done.add(incarnation(table, task));
      });
    }
  }

  #isWaiting(task: TaskState, table: TableState | undefined): boolean {
    if (task.state === 'done' || table === undefined) return false;
    return !this.#active.has(taskName(task)) && !this.#done.has(incarnation(table, task));
  }

  #start(name: string, work: () => Promise<void>): void {
    if (this.#active.has(name)) return;
    const { progress } = this.#ports;
    const running = work()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#active.delete(name);
        progress.activeTasks = this.#active.size;
        this.wake();
      });
    this.#active.set(name, running);
    progress.activeTasks = this.#active.size;
  }

  /** All rows of the table were read and are durable. */
  async #complete(table: TableState): Promise<void> {
    const { source, writer, logger } = this.#ports;
    if (table.unconfirmed && !(await sweepTable(writer, table, logger))) return this.wake();
    const position = await source.head();
    await writer.markTableSnapshotDone(table.id, table.generation, position);
    logger.info({ table: tableName(table), position }, 'table copied');
  }

  /**
   * Opens the snapshot gate. Rows that miss values are completed here, behind the marks of all tables: one that the
   * stream leaves partial from now on, it completes itself before it publishes.
   */
  async #finish(signal: AbortSignal): Promise<void> {
    const { reader, writer, source, logger } = this.#ports;
    if ((await reader.checkpointState()).snapshotDone) return;
    for (const table of await reader.tables()) {
      if (table.snapshot === 'done') await completePartialRows(this.#ports, table, signal);
    }
    const position = await source.head();
    const pending = await writer.markAllSnapshotDone(position);
    if (pending.length > 0) return this.wake();
    logger.info({ position }, 'all tables copied');
    // After the mark: an event that passes the gate must come even if nobody writes to the source (rule R10).
    await source.marker();
  }
}

function remaining(task: TaskState): number {
  return Math.max(0, task.bytesEstimate - task.bytes);
}

function taskName(task: TaskState): string {
  return `task ${task.tableId}.${task.index}`;
}

function incarnation(table: TableState, task: TaskState): string {
  return `${taskName(task)} generation ${table.generation}`;
}

function tableName(table: TableState): string {
  return `${table.relation.schema}.${table.relation.name}`;
}
