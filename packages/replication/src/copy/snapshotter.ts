/**
 * The snapshotter: a queue of tables and tasks that lives in storage, worked off N at a time beside the stream, also by
 * other processes (copier.ts). It never publishes. Round after round it looks at what is stored: tables that nobody holds
 * are planned, waiting tasks are read, tables whose tasks are done are completed; when none is pending, the snapshot gate is opened and a marker sent through
 * the source, so that even an idle source brings the commit that passes the gate.
 *
 * A failure that concerns one task or one table stays with it; docs/decisions/0009-read-plan-and-scheduler.md says which.
 */
import { Latest, type TableId } from '@sluice/core';
import {
  holdsCheckpoints,
  type SnapshotControl,
  type StreamWriter,
  tableControl,
  type TableState,
  type TaskState,
} from '@sluice/storage';
import { CopyFailures, type CopyFailurePorts } from './copy-failures.ts';
import { isHeld, type QueuedTask, tableName } from './copy-order.ts';
import type { Tried } from './retries.ts';
import type { CopiedTables } from './snapshot-task.ts';
import { sweepTable } from './sweep-table.ts';
import { ReadFailure } from './task-failure.ts';
import { type CopyScheduleFacts, TaskScheduler, type TaskSchedulerPorts } from './task-scheduler.ts';
import { completePartialRows } from '../rows/partial-rows.ts';
import type { TableCatalog } from '../tables/table-catalog.ts';

/** How often what operators have stored is looked at while tables are pending. */
const LOOK_MS = 500;

export interface SnapshotterPorts
  extends Omit<TaskSchedulerPorts, 'tables' | 'failures' | 'onEnd'>,
    Omit<CopyFailurePorts, 'isEnded' | 'onChange'> {
  readonly writer: StreamWriter;
  readonly catalog: TableCatalog;
}

export class Snapshotter {
  readonly #ports: SnapshotterPorts;
  /** Set whenever the stored queue may have changed. */
  readonly #queue = new Latest(0);
  readonly #scheduler: TaskScheduler;
  readonly #failures: CopyFailures;
  /** Tables that are being completed. */
  readonly #completing = new Map<number, Promise<void>>();

  constructor(ports: SnapshotterPorts) {
    const { catalog } = ports;
    const wake = () => this.wake();
    this.#ports = ports;
    this.#failures = new CopyFailures({ ...ports, isEnded: ({ id }) => catalog.isEnded(id), onChange: wake });
    const tables: CopiedTables = {
      bindingFor: (table) => catalog.bindingFor(table),
      rewritten: (table) => this.#startOver(table),
    };
    this.#scheduler = new TaskScheduler({ ...ports, tables, failures: this.#failures, onEnd: wake });
  }

  /** The stored queue has changed: look again. Carries no data. */
  wake(): void {
    this.#queue.set(this.#queue.value + 1);
  }

  facts(): CopyScheduleFacts {
    return this.#scheduler.facts();
  }

  /** Runs until aborted; ends early only by throwing. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        // Read before looking, so that a wake during the look is not lost.
        const version = this.#queue.version;
        const idle = (await this.#round(signal)) === 'idle';
        this.#failures.throwIfAny();
        const forget = idle ? undefined : this.#ports.clock.timer(LOOK_MS, () => this.wake());
        await this.#queue.changed(version, signal).finally(forget);
      }
    } finally {
      await Promise.allSettled([this.#scheduler.settled(), ...this.#completing.values()]);
    }
  }

  async #round(signal: AbortSignal): Promise<'busy' | 'idle'> {
    const { reader } = this.#ports;
    const all = await reader.tables();
    if (!all.some(holdsCheckpoints)) await this.#finish(signal);
    const pending = all.filter((table) => this.#isPending(table));
    if (pending.length === 0) return 'idle';
    const control = await reader.snapshotControl();
    await this.#cancel(pending, control);
    await this.#planAll(pending, control, signal);
    const tables = (await reader.tables()).filter((table) => this.#isPending(table) && table.plan !== null);
    const queued: QueuedTask[] = [];
    for (const [table, own] of withTasks(tables, await reader.tasks())) {
      // No tasks: the table was sent back to the start between the two reads, and is planned in the next round.
      if (own.length > 0 && own.every((task) => task.state === 'done')) this.#complete(table);
      queued.push(...own.map((task) => ({ table, task })));
    }
    this.#scheduler.schedule(queued, control, signal);
    return 'busy';
  }

  #isPending({ id, snapshot }: TableState): boolean {
    return snapshot === 'pending' && !this.#ports.catalog.isEnding(id);
  }

  async #cancel(pending: readonly TableState[], control: SnapshotControl): Promise<void> {
    for (const table of pending) {
      if (table.plan === null || tableControl(control, tableName(table)).hold?.kind !== 'cancelled') continue;
      this.#scheduler.stop(table);
      if (this.#scheduler.isReading(table)) continue;
      await this.#ports.writer.markTableSnapshotRequired(table.id);
      this.#ports.logger.info({ table: tableName(table) }, 'copy cancelled; it starts over when it is resumed');
    }
  }

  async #planAll(pending: readonly TableState[], control: SnapshotControl, signal: AbortSignal): Promise<void> {
    for (const table of pending) {
      if (table.plan !== null || !this.#ports.catalog.isReadable(table.id) || isHeld(table, control)) continue;
      const tried: Tried = { tableId: table.id, generation: table.generation, index: null, cursor: null };
      if (this.#failures.mustWait(tried)) continue;
      try {
        await this.#plan(table);
        this.#failures.succeeded(tried);
      } catch (error) {
        await this.#failures.failed({ table, tried, error }, signal);
      }
    }
  }

  async #plan(table: TableState): Promise<void> {
    const { source, writer, logger } = this.#ports;
    const read = source.planTable(table.relation).catch((error: unknown) => {
      throw new ReadFailure(error);
    });
    const { tasks, ...plan } = await read;
    const planned = tasks.map((task, index) => ({ index, ...task }));
    if (!(await writer.planTable(table, plan, planned))) return;
    logger.info({ table: tableName(table), tasks: tasks.length, ...plan }, 'copy planned');
  }

  async #startOver(table: TableState): Promise<void> {
    const now = (await this.#ports.reader.tables()).find((candidate) => candidate.id === table.id);
    if (now?.generation !== table.generation) return;
    this.#ports.logger.info({ table: tableName(table) }, 'the table was rewritten: its copy starts over');
    await this.#ports.writer.markTableSnapshotRequired(table.id);
  }

  /** All rows of the table were read and are durable. Behind that, it must still be what they were read of. */
  #complete(table: TableState): void {
    if (this.#completing.has(table.id)) return;
    const { source, writer, logger, catalog } = this.#ports;
    const complete = async () => {
      if (!(await catalog.confirm(table))) return;
      if (table.unconfirmed && !(await sweepTable(writer, table, logger))) return;
      const position = await source.head();
      await writer.markTableSnapshotDone(table.id, table.generation, position);
      logger.info({ table: tableName(table), position }, 'table copied');
    };
    const completing = complete()
      .catch((error: unknown) => {
        if (!this.#ports.catalog.isEnded(table.id)) this.#failures.add(error);
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

function withTasks(tables: readonly TableState[], tasks: readonly TaskState[]): Iterable<[TableState, TaskState[]]> {
  const byTable = new Map<TableId, [TableState, TaskState[]]>(tables.map((table) => [table.id, [table, []]]));
  for (const task of tasks) byTable.get(task.tableId)?.[1].push(task);
  return byTable.values();
}
