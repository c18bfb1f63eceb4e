/** The source port over a simulated database. Every call and every batch waits for its turn. */
import type { Position, Random, RawRow, Relation, StreamEvent } from '@sluice/core';
import type {
  ChangeSource,
  DiscoveredTable,
  OpenedSource,
  PlannedTask,
  ReadPlan,
  ReadTask,
  SourceHealth,
  TaskChunk,
  UnfinishedTask,
} from '@sluice/replication';
import type { Scheduler } from './scheduler.ts';
import { positionOf, type SimulatedDatabase } from './simulated-database.ts';

export class SimulatedSource implements ChangeSource {
  readonly #database: SimulatedDatabase;
  readonly #scheduler: Scheduler;
  readonly #random: Random;

  constructor(database: SimulatedDatabase, scheduler: Scheduler, random: Random) {
    this.#database = database;
    this.#scheduler = scheduler;
    this.#random = random;
  }

  async preflight(): Promise<void> {}

  async open(): Promise<OpenedSource> {
    await this.#scheduler.turn('open');
    return { saved: 'slot', startPosition: positionOf(this.#database.confirmed), created: true };
  }

  async *stream(signal: AbortSignal): AsyncIterable<readonly StreamEvent[]> {
    const { log } = this.#database;
    let next = log.findIndex((entry) => entry.at > this.#database.confirmed);
    if (next < 0) next = log.length;
    let unsent: StreamEvent[] = [];
    while (!signal.aborted) {
      await this.#scheduler.turn('stream');
      while (next < log.length && this.#random() < 0.7) unsent.push(...(log[next++]?.events ?? []));
      if (unsent.length === 0) {
        if (next === log.length) yield [{ kind: 'heartbeat', position: positionOf(this.#database.head) }];
        continue;
      }
      const count = 1 + Math.floor(this.#random() * unsent.length);
      yield unsent.slice(0, count);
      unsent = unsent.slice(count);
    }
  }

  acknowledge(position: Position): void {
    this.#database.confirmed = Math.max(this.#database.confirmed, Number.parseInt(position, 16));
  }

  async settle(): Promise<void> {
    await this.#scheduler.turn('settle');
  }

  async discover(): Promise<readonly DiscoveredTable[]> {
    await this.#scheduler.turn('discover');
    return [...this.#database.relations.values()].map((relation) => ({
      relation,
      keyColumns: [0],
      rowsEstimate: 10,
      bytesEstimate: 100,
      problem: null,
    }));
  }

  async planTable(): Promise<ReadPlan> {
    await this.#scheduler.turn('plan');
    const tasks = [
      { range: ['', '25'], rowsEstimate: 5, bytesEstimate: 50 },
      { range: ['25', '~'], rowsEstimate: 5, bytesEstimate: 50 },
    ];
    return { hash: 'simulated', strategy: 'halves', tasks };
  }

  async splitTask({ range, cursor }: UnfinishedTask): Promise<readonly [PlannedTask, PlannedTask] | null> {
    await this.#scheduler.turn('split');
    const [low, high] = range as [string, string];
    const middle = String(10 + Math.floor(this.#random() * 30));
    if (middle <= low || middle >= high || (cursor !== null && middle <= (cursor as string))) return null;
    const part = (from: string, to: string) => ({ range: [from, to], rowsEstimate: 2, bytesEstimate: 25 });
    return [part(low, middle), part(middle, high)];
  }

  /** Chunks of up to three rows, each as of its own moment. */
  async *readTask({ relation, range, cursor }: ReadTask): AsyncIterable<TaskChunk> {
    const [low, high] = range as [string, string];
    let after = cursor as string | null;
    for (;;) {
      await this.#scheduler.turn(`read ${relation.name}`);
      const keys = [...(this.#database.state().get(relation.name)?.keys() ?? [])]
        .filter((key) => key >= low && key < high && (after === null || key > after))
        .sort();
      const taken = keys.slice(0, 1 + Math.floor(this.#random() * 3));
      const rows = taken.map((key) => this.#database.state().get(relation.name)?.get(key) as RawRow);
      const last = taken.length === keys.length;
      after = taken.at(-1) ?? after;
      await this.#scheduler.turn(`arrive ${relation.name}`);
      yield { rows, bytes: rows.length, cursor: after, last };
      if (last) return;
    }
  }

  async readRows(relation: Relation, _: readonly number[], rows: readonly RawRow[]): Promise<readonly RawRow[]> {
    await this.#scheduler.turn('re-read');
    const state = this.#database.state().get(relation.name);
    const read: RawRow[] = [];
    for (const row of rows) {
      const now = state?.get(String(row[0]));
      if (now !== undefined) read.push(now);
    }
    await this.#scheduler.turn('re-read arrives');
    return read;
  }

  async head(): Promise<Position> {
    await this.#scheduler.turn('head');
    return positionOf(this.#database.head);
  }

  async marker(): Promise<void> {
    await this.#scheduler.turn('marker');
    this.#database.marker();
  }

  async health(): Promise<SourceHealth> {
    return {
      head: positionOf(this.#database.head),
      acknowledged: null,
      retainedBytes: null,
      budgetBytes: null,
      status: 'ok',
      active: true,
    };
  }

  bytesBetween(): number | null {
    return null;
  }

  async teardown(): Promise<void> {}

  async close(): Promise<void> {}
}
