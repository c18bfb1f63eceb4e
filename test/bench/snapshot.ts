/**
 * Snapshot: rows of about 200 bytes copied through one definition, into nothing and into LMDB; against a drain of COPY
 * in this process, and against writing the same bytes straight into LMDB.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { BENCH_RULES, benchDatabase, type KeyKind } from './bench-source.ts';
import { drainCopy } from './copy-drain.ts';
import { startCopiers, stopCopiers } from './copier-process.ts';
import { cpuTimed } from './cpu-time.ts';
import type { BenchOptions } from './options.ts';
import { createNullStorage, type NullStorage } from './null-storage.ts';
import { printCosts, profiled } from './profile.ts';
import { replicateUntil } from './replication-run.ts';
import { type Figure, ReportBuilder } from './report.ts';
import { rawStorageWrite } from './storage-write.ts';

const PROMISED_RATIO = 0.5;
/** What the raw write adds to `rowBytes`, op and record together. */
const RAW_OVERHEAD_BYTES = 110 + 60;

export async function benchSnapshot(options: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const postgres = await startPostgres({ settings: { max_wal_size: '8GB', shared_buffers: '512MB' } });
  try {
    for (const key of ['serial', 'uuid'] as const) await copyInto(postgres, report, { ...options, key });
  } finally {
    await postgres.stop();
  }
  return report;
}

interface CopyOptions extends BenchOptions {
  readonly key: KeyKind;
}

async function copyInto(postgres: TestPostgres, report: ReportBuilder, options: CopyOptions): Promise<void> {
  const { rows, key } = options;
  const database = await benchDatabase(postgres, rows, key);
  const drained = await drainCopy(database.uri, 'items');
  const copyLimit = report.add({
    what: `COPY drained, ${key} keys`,
    unit: 'rows/s',
    rate: rows / drained.seconds,
    seconds: drained.seconds,
    detail: { bytesPerRow: drained.bytes / rows },
  });

  const nothing = createNullStorage();
  const evaluation = { ...nothing, uri: database.uri, slot: `null_${key}`, rules: BENCH_RULES, until: null };
  const {
    result: { result, costs },
    cpuSeconds,
  } = await cpuTimed(() => profiled(options.profile, () => replicateUntil(evaluation)));
  const evaluated = report.add({
    what: `copy into nothing, ${key} keys`,
    unit: 'rows/s',
    rate: rows / result.seconds,
    seconds: result.seconds,
    detail: {
      cpuSeconds,
      cpuMicrosecondsPerRow: (cpuSeconds / rows) * 1e6,
      opBytes: nothing.dropped.opBytes / nothing.dropped.ops,
      recordBytes: nothing.dropped.recordBytes / nothing.dropped.records,
    },
  });
  report.compare(evaluated, copyLimit, null);
  printCosts(costs);

  const writeLimit = await writeRaw(report, options, nothing.dropped);
  const ours = await copyIntoLmdb(database.uri, report, options);
  report.compare(ours, writeLimit, PROMISED_RATIO);
  report.compare(ours, copyLimit, null);
}

/** As many bytes a row as our ops and records have, in the same stores and transactions, with nothing else done. */
async function writeRaw(report: ReportBuilder, options: CopyOptions, ours: NullStorage['dropped']): Promise<Figure> {
  const { rows, key } = options;
  const path = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  try {
    const bytesPerRow = (ours.opBytes + ours.recordBytes) / rows;
    const rowBytes = Math.round((bytesPerRow - RAW_OVERHEAD_BYTES) / 2);
    const keyKind = key === 'serial' ? 'serial' : 'random';
    const { result: raw, cpuSeconds } = await cpuTimed(() => rawStorageWrite({ path, rows, rowBytes, keyKind }));
    return report.add({
      what: `raw storage write of the same bytes, ${key} keys`,
      unit: 'rows/s',
      rate: raw.rowsPerSecond,
      seconds: raw.seconds,
      detail: {
        cpuSeconds,
        cpuMicrosecondsPerRow: (cpuSeconds / rows) * 1e6,
        bytesPerRow,
        diskBytesPerRow: raw.fileBytes / rows,
      },
    });
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function copyIntoLmdb(uri: string, report: ReportBuilder, options: CopyOptions): Promise<Figure> {
  const { rows, key } = options;
  const path = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const storage = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger });
  try {
    const stream = await storage.createStream(BENCH_RULES, 0);
    const slot = `lmdb_${key}`;
    const work = { uri, slot, rules: BENCH_RULES, storage, stream, until: null };
    const copiers = await startCopiers(options.copiers, { storage: { path }, sourceUri: uri, slot });
    const {
      result: { result, costs },
      cpuSeconds,
    } = await cpuTimed(() => profiled(options.profile, () => replicateUntil(work)));
    await stopCopiers(copiers);
    const { snapshot } = result.facts;
    const figure = report.add({
      what: `copy into LMDB by ${1 + options.copiers} processes, to the first checkpoint, ${key} keys`,
      unit: 'rows/s',
      rate: rows / result.seconds,
      seconds: result.seconds,
      detail: {
        // Of this process, as what follows.
        cpuSeconds,
        cpuMicrosecondsPerRow: (cpuSeconds / rows) * 1e6,
        rows: snapshot.rows,
        // Of the tasks' time; storage works on flushes while the next rows are read.
        waitSeconds: snapshot.stages.wait / 1000,
        readSeconds: snapshot.stages.read / 1000,
        evaluateSeconds: snapshot.stages.evaluate / 1000,
        flushWaitSeconds: snapshot.stages.flush / 1000,
        flushSeconds: snapshot.flushMs / 1000,
        chunks: snapshot.chunks,
        diskBytesPerRow: (await diskBytes(path)) / rows,
        peakMegabytes: process.resourceUsage().maxRSS / 1024,
      },
    });
    printCosts(costs);
    return figure;
  } finally {
    await storage.close();
    await rm(path, { recursive: true, force: true });
  }
}

async function diskBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) bytes += (await stat(join(directory, name))).blocks * 512;
  return bytes;
}
