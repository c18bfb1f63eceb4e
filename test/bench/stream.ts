/**
 * Streaming: a backlog of changes, drained through decoding, rules and LMDB to a checkpoint; against a bare drain of the
 * same backlog from a second slot, which decodes and keeps nothing.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { BENCH_RULES, benchDatabase } from './bench-source.ts';
import { cpuTimed } from './cpu-time.ts';
import type { BenchOptions } from './options.ts';
import { printCosts, profiled } from './profile.ts';
import { type ReplicationRun, positionOf, replicateUntil } from './replication-run.ts';
import { ReportBuilder } from './report.ts';
import { bareDrain, sourceDrain } from './wal-drain.ts';

const SEED_ROWS = 20_000;
const PROMISED_RATIO = 0.3;

export async function benchStream(options: BenchOptions): Promise<ReportBuilder> {
  const report = new ReportBuilder();
  const postgres = await startPostgres({ settings: { max_wal_size: '8GB', shared_buffers: '256MB' } });
  try {
    for (const rowsPerTransaction of [1, 1000]) await drainBacklog({ postgres, report, rowsPerTransaction, options });
  } finally {
    await postgres.stop();
  }
  return report;
}

interface Backlog {
  readonly postgres: TestPostgres;
  readonly report: ReportBuilder;
  readonly rowsPerTransaction: number;
  readonly options: BenchOptions;
}

async function drainBacklog({ postgres, report, rowsPerTransaction, options }: Backlog): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const database = await benchDatabase(postgres, SEED_ROWS, 'uuid');
  const storage = await openLmdbStorage({ path: directory, clock: systemClock, logger: silentLogger });
  try {
    const { id } = await storage.createStream(BENCH_RULES, 0);
    const slot = `ours_${rowsPerTransaction}`;
    const run = async (until: string | null): Promise<ReplicationRun> => {
      const stream = (await storage.listStreams()).find((candidate) => candidate.id === id);
      if (stream === undefined) throw new Error('the stream is gone');
      return { uri: database.uri, slot, rules: BENCH_RULES, storage, stream, until };
    };
    await replicateUntil(await run(null));
    await database.query(`SELECT pg_create_logical_replication_slot('bare_${rowsPerTransaction}', 'pgoutput')`);
    const end = await writeBacklog(database, options.rows, rowsPerTransaction);
    const label = rowsPerTransaction === 1 ? 'single-row transactions' : `${rowsPerTransaction}-row transactions`;

    const drain = { uri: database.uri, slot: `bare_${rowsPerTransaction}`, publication: 'powersync', upTo: end };
    const before = await bareDrain(drain);
    const decoded = await sourceDrain(drain);
    report.add({
      what: `decoded by our source and dropped, ${label}`,
      unit: 'changes/s',
      rate: decoded.changes / decoded.seconds,
      seconds: decoded.seconds,
    });
    const work = await run(positionOf(end));
    const {
      result: { result, costs },
      cpuSeconds,
    } = await cpuTimed(() => profiled(options.profile, () => replicateUntil(work)));
    const changes = result.facts.stream.changes;
    const ours = report.add({
      what: `backlog to checkpoint, ${label}`,
      unit: 'changes/s',
      rate: changes / result.seconds,
      seconds: result.seconds,
      detail: {
        cpuSeconds,
        cpuMicrosecondsPerChange: (cpuSeconds / changes) * 1e6,
        changes,
        ops: result.facts.stream.ops,
        flushes: result.facts.stream.flushes,
        flushSeconds: result.facts.stream.flushMs / 1000,
      },
    });
    printCosts(costs);
    // Before and after, the better one: what else the machine does at one moment must not flatter us.
    const { result: after, cpuSeconds: bareCpuSeconds } = await cpuTimed(() => bareDrain(drain));
    const bare = before.seconds < after.seconds ? before : after;
    const limit = report.add({
      what: `bare drain, ${label}`,
      unit: 'changes/s',
      rate: bare.changes / bare.seconds,
      seconds: bare.seconds,
      detail: { cpuSeconds: bareCpuSeconds, otherSeconds: Math.max(before.seconds, after.seconds) },
    });
    report.compare(ours, limit, PROMISED_RATIO);
  } finally {
    await storage.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Of ten changes five insert, four update and one deletes. @returns the LSN behind the backlog */
async function writeBacklog(database: TestDatabase, changes: number, rowsPerTransaction: number): Promise<string> {
  await database.query(`DO $$
    DECLARE fresh int8 := 10000000; old int8 := 0;
    BEGIN
      FOR i IN 1..${changes} LOOP
        IF i % 10 < 5 THEN
          fresh := fresh + 1;
          INSERT INTO items VALUES (md5(fresh::text)::uuid, 'user-' || i % 1000, 'new item ' || i,
            repeat(md5(i::text), 3), i, i / 8.0, false, now());
        ELSIF i % 10 < 9 THEN
          old := old % ${SEED_ROWS} + 1;
          UPDATE items SET title = 'changed ' || i, n = i WHERE id = md5(old::text)::uuid;
        ELSE
          DELETE FROM items WHERE id = md5((fresh - 3)::text)::uuid;
        END IF;
        IF i % ${rowsPerTransaction} = 0 THEN COMMIT; END IF;
      END LOOP;
    END $$`);
  const [row] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  // The drains end with a transaction at or behind that place.
  await database.query(`INSERT INTO items (id, n) VALUES (md5('end')::uuid, 0)`);
  return row?.lsn ?? '0/0';
}
