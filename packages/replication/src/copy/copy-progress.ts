/**
 * What the copy has done since this process began it: counters, rates and where the time went, for the whole, for each
 * table and for each task under way. Percentages are not made here but from storage, so that a restart cannot lower them.
 */
import type { Clock, TableId } from '@sluice/core';
import { RateWindow } from './rate-window.ts';

/**
 * What a task is doing: waiting for its share (bytes, the processor), for the source, evaluating rows, or waiting for
 * storage to take its last rows before it hands over the next.
 */
export type Stage = 'wait' | 'read' | 'evaluate' | 'flush';
export type StageMs = Readonly<Record<Stage, number>>;

export interface CopyFacts {
  /** Rows and source bytes flushed, skipped ones included. */
  readonly rows: number;
  readonly bytes: number;
  /** Over the last half minute; null before there is anything to tell. */
  readonly rowsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
  /** Time of all tasks together; `stages` sums to it. */
  readonly elapsedMs: number;
  readonly stages: StageMs;
}

export interface TableCopyFacts extends CopyFacts {
  /** Tasks under way, by index. */
  readonly tasks: ReadonlyMap<number, CopyFacts>;
}

export interface SnapshotFacts extends CopyFacts {
  readonly ops: number;
  readonly chunks: number;
  readonly discardedChunks: number;
  readonly activeTasks: number;
  /** Time that storage took for flushes, most of it while the next rows were read. */
  readonly flushMs: number;
  readonly startedAtMs: number | null;
  readonly tables: ReadonlyMap<TableId, TableCopyFacts>;
}

export interface ChunkDone {
  readonly rows: number;
  readonly bytes: number;
  readonly ops: number;
  readonly flushMs: number;
}

/** Told by one task what it does. It is in exactly one stage at a time, from its start to its end. */
export class TaskMeter {
  readonly #clock: Clock;
  readonly #onChunk: (chunk: ChunkDone) => void;
  readonly meter: Meter;
  #stage: Stage = 'wait';
  #since: number;

  constructor(clock: Clock, onChunk: (chunk: ChunkDone) => void) {
    this.#clock = clock;
    this.#onChunk = onChunk;
    this.meter = new Meter(clock);
    this.#since = clock.monotonic();
  }

  enter(stage: Stage): void {
    const now = this.#clock.monotonic();
    this.meter.stages[this.#stage] += now - this.#since;
    this.#stage = stage;
    this.#since = now;
  }

  flushed(chunk: ChunkDone): void {
    this.meter.add(chunk);
    this.#onChunk(chunk);
  }

  /** Counts the time until now to the present stage. */
  settle(): void {
    this.enter(this.#stage);
  }
}

class Meter {
  readonly stages: Record<Stage, number> = { wait: 0, read: 0, evaluate: 0, flush: 0 };
  rows = 0;
  bytes = 0;
  readonly #rowRate: RateWindow;
  readonly #byteRate: RateWindow;

  constructor(clock: Clock) {
    this.#rowRate = new RateWindow(clock);
    this.#byteRate = new RateWindow(clock);
  }

  add({ rows, bytes }: Pick<ChunkDone, 'rows' | 'bytes'>): void {
    this.rows += rows;
    this.bytes += bytes;
    this.#rowRate.add(rows);
    this.#byteRate.add(bytes);
  }

  facts(stages: StageMs = this.stages): CopyFacts {
    return {
      rows: this.rows,
      bytes: this.bytes,
      rowsPerSecond: this.#rowRate.perSecond(),
      bytesPerSecond: this.#byteRate.perSecond(),
      elapsedMs: stages.wait + stages.read + stages.evaluate + stages.flush,
      stages: { ...stages },
    };
  }
}

interface TableMeter {
  readonly meter: Meter;
  /** Stage times of tasks that ended. */
  readonly ended: Record<Stage, number>;
  readonly tasks: Map<number, TaskMeter>;
}

export class CopyProgress {
  readonly #clock: Clock;
  readonly #all: Meter;
  readonly #tables = new Map<TableId, TableMeter>();
  #ops = 0;
  #chunks = 0;
  #flushMs = 0;
  discardedChunks = 0;
  activeTasks = 0;
  startedAtMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#all = new Meter(clock);
  }

  startTask(tableId: TableId, index: number): TaskMeter {
    const table = this.#table(tableId);
    const task = new TaskMeter(this.#clock, (chunk) => {
      table.meter.add(chunk);
      this.#all.add(chunk);
      this.#ops += chunk.ops;
      this.#flushMs += chunk.flushMs;
      this.#chunks++;
    });
    table.tasks.set(index, task);
    return task;
  }

  endTask(tableId: TableId, index: number): void {
    const table = this.#table(tableId);
    const task = table.tasks.get(index);
    if (task === undefined) return;
    task.settle();
    addStages(table.ended, task.meter.stages);
    table.tasks.delete(index);
  }

  facts(): SnapshotFacts {
    const tables = new Map([...this.#tables].map(([id, table]) => [id, tableFacts(table)]));
    const stages = noTime();
    for (const table of tables.values()) addStages(stages, table.stages);
    return {
      ...this.#all.facts(stages),
      ops: this.#ops,
      chunks: this.#chunks,
      discardedChunks: this.discardedChunks,
      activeTasks: this.activeTasks,
      flushMs: this.#flushMs,
      startedAtMs: this.startedAtMs,
      tables,
    };
  }

  #table(id: TableId): TableMeter {
    let table = this.#tables.get(id);
    if (table === undefined) {
      table = { meter: new Meter(this.#clock), ended: noTime(), tasks: new Map() };
      this.#tables.set(id, table);
    }
    return table;
  }
}

function tableFacts({ meter, ended, tasks }: TableMeter): TableCopyFacts {
  const stages = { ...ended };
  const underWay = new Map<number, CopyFacts>();
  for (const [index, task] of tasks) {
    task.settle();
    addStages(stages, task.meter.stages);
    underWay.set(index, task.meter.facts());
  }
  return { ...meter.facts(stages), tasks: underWay };
}

function noTime(): Record<Stage, number> {
  return { wait: 0, read: 0, evaluate: 0, flush: 0 };
}

function addStages(sum: Record<Stage, number>, more: StageMs): void {
  sum.wait += more.wait;
  sum.read += more.read;
  sum.evaluate += more.evaluate;
  sum.flush += more.flush;
}
