/**
 * How long after the last task of a copy the first checkpoint is visible, under 2,000 writes a second: what a service
 * that streams only after it has copied would call its catch-up. Repeated, each time on a copy of the same database.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import type { BucketStorage, StreamWriter } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { replaced } from '../../service/src/failpoints/replaced.ts';
import { startLoad } from '../kit/load.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RULES } from '../kit/rules.ts';
import { createSchema, type Population, seedRows } from '../kit/schema.ts';
import type { BenchOptions } from './options.ts';
import { replicateUntil } from './replication-run.ts';
import { ReportBuilder } from './report.ts';

const WRITES_PER_SECOND = 2000;
const REPEATS = 20;
const PROMISED_MS = 1000;
const TEMPLATE = 'catch_up_template';

export async function benchCatchUp({ rows }: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const postgres = await startPostgres({ settings: { max_wal_size: '4GB', shared_buffers: '256MB' } });
  try {
    const template = await postgres.createDatabase(TEMPLATE);
    const connection = await template.connect();
    await createSchema(connection);
    const population = await seedRows(connection, { rows });
    await connection.end();
    const waits: number[] = [];
    const rates: number[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const { waitMs, writesPerSecond } = await once(postgres, population, repeat);
      waits.push(waitMs);
      rates.push(writesPerSecond);
    }
    waits.sort((a, b) => a - b);
    const p95 = quantile(waits, 0.95);
    report.add({
      what: `last task done to first checkpoint, p95 of ${REPEATS}`,
      unit: `ms (promised: below ${PROMISED_MS} ${p95 < PROMISED_MS ? '✓' : '✗'})`,
      rate: p95,
      detail: {
        p50: quantile(waits, 0.5),
        max: quantile(waits, 1),
        writesPerSecond: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
      },
    });
  } finally {
    await postgres.stop();
  }
  return report;
}

interface Repeat {
  readonly waitMs: number;
  readonly writesPerSecond: number;
}

async function once(postgres: TestPostgres, population: Population, repeat: number): Promise<Repeat> {
  const { uri } = await postgres.createDatabase(undefined, { template: TEMPLATE });
  const path = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const inner = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger });
  const moments = { lastTaskDone: 0, firstCheckpoint: 0 };
  const storage = storageThatNotes(inner, moments);
  const load = await startLoad({ uri, population, writesPerSecond: WRITES_PER_SECOND, seed: repeat });
  try {
    const stream = await storage.createStream(RULES, 0);
    await replicateUntil({ uri, slot: `catch_up_${repeat}`, rules: RULES, storage, stream, until: null });
    const { writesPerSecond } = await load.stop();
    return { waitMs: moments.firstCheckpoint - moments.lastTaskDone, writesPerSecond };
  } finally {
    await load.stop();
    await storage.close();
    await rm(path, { recursive: true, force: true });
  }
}

interface Moments {
  lastTaskDone: number;
  firstCheckpoint: number;
}

function storageThatNotes(inner: BucketStorage, moments: Moments): BucketStorage {
  return replaced<BucketStorage>(inner, {
    openWriter: async (...request) => {
      const writer = await inner.openWriter(...request);
      return replaced<StreamWriter>(writer, {
        flushSnapshot: async (flush) => {
          const result = await writer.flushSnapshot(flush);
          if (flush.progress.done) moments.lastTaskDone = performance.now();
          return result;
        },
        commit: async (...commit) => {
          const outcome = await writer.commit(...commit);
          if (outcome.kind === 'created' && moments.firstCheckpoint === 0) moments.firstCheckpoint = performance.now();
          return outcome;
        },
      });
    },
  });
}

/** Of ascending values. */
function quantile(values: readonly number[], q: number): number {
  return values[Math.max(0, Math.ceil(q * values.length) - 1)] ?? Number.NaN;
}
