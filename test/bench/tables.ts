/**
 * One big table, and 200 small ones, copied by 1, 2, 4 and 8 tasks at once, into nothing and into LMDB: rows a second, and
 * where the tasks' time went. The parts sum to the whole, or the bench fails.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import type { BucketStorage, StreamInfo } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { startPostgres } from '../kit/postgres.ts';
import { BENCH_RULES, benchDatabase, MANY_TABLES_RULES, manyTablesDatabase } from './bench-source.ts';
import { drainCopy } from './copy-drain.ts';
import { cpuTimed } from './cpu-time.ts';
import type { BenchOptions } from './options.ts';
import { createNullStorage } from './null-storage.ts';
import { replicateUntil, type RunResult } from './replication-run.ts';
import { type Figure, ReportBuilder } from './report.ts';

const TASKS = [1, 2, 4, 8];
const SMALL_TABLES = 200;
/** Of the rows of the big table. */
const SMALL_SHARE = 0.2;

interface Source {
  readonly what: string;
  readonly uri: string;
  readonly rules: string;
  readonly rows: number;
}

interface Target {
  readonly storage: BucketStorage;
  readonly stream: StreamInfo;
  close(): Promise<void>;
}

const targets: Readonly<Record<string, (rules: string) => Promise<Target>>> = { nothing: intoNothing, LMDB: intoLmdb };

export async function benchTables({ rows }: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const postgres = await startPostgres({ settings: { max_wal_size: '8GB', shared_buffers: '512MB' } });
  try {
    const big = await benchDatabase(postgres, rows, 'serial');
    const drained = await drainCopy(big.uri, 'items');
    const limit = report.add({
      what: 'COPY of the big table drained',
      unit: 'rows/s',
      rate: rows / drained.seconds,
      seconds: drained.seconds,
    });
    await copyAll(report, { what: 'one table', uri: big.uri, rules: BENCH_RULES, rows }, limit);
    const tables = Math.min(SMALL_TABLES, rows);
    const perTable = Math.ceil((rows * SMALL_SHARE) / tables);
    const small = await manyTablesDatabase(postgres, { rows: perTable * tables, tables });
    const what = `${tables} tables`;
    await copyAll(report, { what, uri: small.uri, rules: MANY_TABLES_RULES, rows: perTable * tables }, null);
  } finally {
    await postgres.stop();
  }
  return report;
}

async function copyAll(report: ReportBuilder, source: Source, limit: Figure | null): Promise<void> {
  for (const [name, open] of Object.entries(targets)) {
    for (const tasks of TASKS) {
      const target = await open(source.rules);
      try {
        const figure = report.add(await copyOnce(source, target, { into: name, tasks }));
        if (limit !== null) report.compare(figure, limit, null);
      } finally {
        await target.close();
      }
    }
  }
}

async function copyOnce(
  { what, uri, rules, rows }: Source,
  { storage, stream }: Target,
  { into, tasks }: { readonly into: string; readonly tasks: number },
): Promise<Figure> {
  const slot = `bench_${what}_${into}_${tasks}`.replaceAll(' ', '_').toLowerCase();
  const run = { uri, slot, rules, storage, stream, until: null, concurrency: tasks };
  const { result, cpuSeconds } = await cpuTimed(() => replicateUntil(run));
  if (result.facts.snapshot.rows < rows) throw new Error(`${result.facts.snapshot.rows} of ${rows} rows were copied`);
  return {
    what: `${what} into ${into}, ${tasks} ${tasks === 1 ? 'task' : 'tasks'}`,
    unit: 'rows/s',
    rate: rows / result.seconds,
    seconds: result.seconds,
    detail: { cpuSeconds, ...stageSplit(result, tasks) },
  };
}

/** Shares of the tasks' time, and how much of the run its tasks were at work. */
function stageSplit({ facts, seconds }: RunResult, tasks: number): Readonly<Record<string, string>> {
  const { stages, elapsedMs } = facts.snapshot;
  const sum = Object.values(stages).reduce((total, ms) => total + ms, 0);
  if (Math.abs(sum - elapsedMs) > 1) throw new Error(`the stages sum to ${sum} ms of ${elapsedMs} ms`);
  const shares = Object.entries(stages).map(([stage, ms]) => [stage, percent(ms, elapsedMs)] as const);
  return { ...Object.fromEntries(shares), busy: percent(elapsedMs, tasks * seconds * 1000) };
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

function intoNothing(): Promise<Target> {
  const { storage, stream } = createNullStorage();
  return Promise.resolve({ storage, stream, close: () => Promise.resolve() });
}

async function intoLmdb(rules: string): Promise<Target> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const storage = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger });
  const stream = await storage.createStream(rules, 0);
  return {
    storage,
    stream,
    close: async () => {
      await storage.close();
      await rm(path, { recursive: true, force: true });
    },
  };
}
