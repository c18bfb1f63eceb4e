/**
 * A seeded load on the tables of `schema.ts`: transactions of 1 to 20 writes at a given rate, as many as fall due sent
 * in one round trip, so that a thousand writes a second cost little. Deterministic in what it writes, not in when.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type LoadTransaction, LoadWriter, transactionSql } from './load-writer.ts';
import type { DataTable, Population } from './schema.ts';

export interface LoadOptions {
  readonly uri: string;
  readonly population: Population;
  readonly writesPerSecond: number;
  readonly seed: number;
  /** Number of the newest transaction of an earlier load, to go on after it. */
  readonly after?: number;
}

export interface LoadReport {
  readonly writes: number;
  readonly transactions: number;
  readonly seconds: number;
  readonly writesPerSecond: number;
}

export interface Load {
  /** Number of the newest committed transaction, as in `ticker.n`. */
  readonly committed: number;
  /** Puts a transaction of these statements between two others. */
  also(writes: readonly string[]): void;
  truncate(table: DataTable): void;
  report(): LoadReport;
  /** Ends at a transaction's end. Throws what stopped the load, if something did. */
  stop(): Promise<LoadReport>;
}

const TICK_MS = 25;
/** Writes of one round trip: bounds what a slow moment of the source makes us catch up with at once. */
const WRITES_PER_TRIP_MAX = 400;

export async function startLoad(options: LoadOptions): Promise<Load> {
  const client = new pg.Client(options.uri);
  let failure: Error | null = null;
  client.on('error', (error) => {
    failure ??= error;
  });
  await client.connect();
  await client.query("SET timezone = 'UTC'; SET synchronous_commit = off");
  const running = new RunningLoad(client, options);
  const done = running.run().catch((error: Error) => {
    failure ??= error;
  });
  return {
    get committed() {
      return running.committed;
    },
    also: (writes) => running.also({ writes, rollback: false }),
    truncate: (table) => running.truncate(table),
    report: () => running.report(),
    stop: async () => {
      const first = !running.stopping;
      running.stopping = true;
      await done;
      if (first) await client.end();
      if (failure !== null) throw failure;
      return running.report();
    },
  };
}

class RunningLoad {
  stopping = false;
  committed: number;
  readonly #client: pg.Client;
  readonly #options: LoadOptions;
  readonly #writer: LoadWriter;
  readonly #waiting: LoadTransaction[] = [];
  readonly #startedAt = performance.now();
  #endedAt: number | null = null;
  #writes = 0;
  #transactions = 0;

  constructor(client: pg.Client, options: LoadOptions) {
    this.#client = client;
    this.#options = options;
    this.committed = options.after ?? 0;
    this.#writer = new LoadWriter(options.population, options.seed + this.committed);
  }

  also(transaction: LoadTransaction): void {
    this.#waiting.push(transaction);
  }

  truncate(table: DataTable): void {
    this.also(this.#writer.truncation(table));
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const seconds = (performance.now() - this.#startedAt) / 1000;
      const due = Math.floor(seconds * this.#options.writesPerSecond) - this.#writes;
      if (due > 0) await this.#trip(Math.min(due, WRITES_PER_TRIP_MAX));
      await sleep(TICK_MS);
    }
    this.#endedAt = performance.now();
  }

  async #trip(writes: number): Promise<void> {
    const statements: string[] = [];
    let number = this.committed;
    let sent = 0;
    while (sent < writes) {
      const transaction = this.#waiting.shift() ?? this.#writer.transaction();
      // A rolled back transaction has no number: it never happened.
      if (!transaction.rollback) number++;
      statements.push(transactionSql(transaction, number));
      sent += transaction.writes.length + 1;
    }
    await this.#client.query(statements.join('; '));
    this.#writes += sent;
    this.#transactions += number - this.committed;
    this.committed = number;
  }

  report(): LoadReport {
    const seconds = ((this.#endedAt ?? performance.now()) - this.#startedAt) / 1000;
    return {
      writes: this.#writes,
      transactions: this.#transactions,
      seconds,
      writesPerSecond: this.#writes / seconds,
    };
  }
}
