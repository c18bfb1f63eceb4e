/**
 * Snapshot into Postgres storage, on a server of its own: rows of about 200 bytes copied through one definition, against
 * the same rows written by bare COPY into the same tables.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import { openPostgresStorage } from '@sluice/storage-postgres';
import { startPostgres, type TestDatabase } from '../kit/postgres.ts';
import { BENCH_RULES, benchDatabase, type KeyKind } from './bench-source.ts';
import { startCopiers, stopCopiers } from './copier-process.ts';
import { cpuTimed } from './cpu-time.ts';
import type { BenchOptions } from './options.ts';
import { printCosts, profiled } from './profile.ts';
import { replicateUntil } from './replication-run.ts';
import { type Figure, ReportBuilder } from './report.ts';

const PROMISED_RATIO = 0.4;
const TABLES = ['ops', 'records', 'buckets', 'changes'] as const;
const SETTINGS = { max_wal_size: '8GB', shared_buffers: '512MB' };

export async function benchSnapshotIntoPostgres(options: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const source = await startPostgres({ settings: SETTINGS });
  // What storage reports as durable must be: fsync is on, for us and for the bare COPY.
  const target = await startPostgres({ settings: SETTINGS, durable: true });
  try {
    for (const key of ['serial', 'uuid'] as const) {
      const items = await benchDatabase(source, options.rows, key);
      const storage = await target.createDatabase();
      const ours = await copyInto(items, storage, report, { ...options, key });
      report.compare(ours, await bareCopy(storage, report, { ...options, key }), PROMISED_RATIO);
    }
  } finally {
    await source.stop();
    await target.stop();
  }
  return report;
}

interface CopyOptions extends BenchOptions {
  readonly key: KeyKind;
}

async function copyInto(
  source: TestDatabase,
  target: TestDatabase,
  report: ReportBuilder,
  { rows, key, profile, copiers: count }: CopyOptions,
): Promise<Figure> {
  const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const storage = await openPostgresStorage({ uri: target.uri, sslmode: 'disable' }, tools);
  try {
    const stream = await storage.createStream(BENCH_RULES, 0);
    const slot = `postgres_${key}`;
    const work = { uri: source.uri, slot, rules: BENCH_RULES, storage, stream, until: null };
    const copiers = await startCopiers(count, { storage: { uri: target.uri }, sourceUri: source.uri, slot });
    const {
      result: { result, costs },
      cpuSeconds,
    } = await cpuTimed(() => profiled(profile, () => replicateUntil(work)));
    await stopCopiers(copiers);
    const { snapshot } = result.facts;
    const figure = report.add({
      what: `copy into Postgres by ${1 + count} processes, to the first checkpoint, ${key} keys`,
      unit: 'rows/s',
      rate: rows / result.seconds,
      seconds: result.seconds,
      detail: {
        cpuSeconds,
        flushSeconds: snapshot.flushMs / 1000,
        chunks: snapshot.chunks,
        diskBytesPerRow: (await databaseBytes(target)) / rows,
      },
    });
    printCosts(costs);
    return figure;
  } finally {
    await storage.close();
  }
}

/** The server reads files that it wrote itself, so that nothing but the COPY is measured. */
async function bareCopy(target: TestDatabase, report: ReportBuilder, { rows, key }: CopyOptions): Promise<Figure> {
  const files = TABLES.map((table) => ({ table, file: join(tmpdir(), `sluice-bench-${target.name}-${table}`) }));
  try {
    for (const { table, file } of files) {
      await target.query(`copy sluice.${table}_1 to '${file}' (format binary)`);
      const [options] = await target.query<{ options: string | null }>(
        `select array_to_string(reloptions, ', ') as options from pg_class where oid = 'sluice.${table}_1'::regclass`,
      );
      await target.query(`create table sluice.${table}_bare (like sluice.${table}_1 including all)`);
      if (options?.options) await target.query(`alter table sluice.${table}_bare set (${options.options})`);
    }
    const startedAt = performance.now();
    for (const { table, file } of files) await target.query(`copy sluice.${table}_bare from '${file}' (format binary)`);
    const seconds = (performance.now() - startedAt) / 1000;
    return report.add({
      what: `the same rows by bare COPY into the same tables, ${key} keys`,
      unit: 'rows/s',
      rate: rows / seconds,
      seconds,
      detail: {},
    });
  } finally {
    for (const { file } of files) await rm(file, { force: true });
  }
}

async function databaseBytes(database: TestDatabase): Promise<number> {
  const [size] = await database.query<{ bytes: string }>('select pg_database_size(current_database()) as bytes');
  return Number(size?.bytes);
}
