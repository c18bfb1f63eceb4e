/**
 * The source's WAL stays bounded while a slow copy runs under writes: what is durable is confirmed all the time. Beside
 * it stands a slot as a service would hold it that streams only after it has copied: for that one the source keeps
 * everything.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLoad } from '../kit/load.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RULES } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { fullSize, sized, testSeed } from '../kit/size.ts';
import { copyStatus } from '../kit/status-watch.ts';
import { longestStandstillMs, slotPoints, watchWal } from '../kit/wal-watch.ts';

const COPY_SECONDS = sized(10, 600);
const ROWS_PER_SECOND = sized(1000, 500);
const WRITES_PER_SECOND = sized(500, 2000);
const STANDSTILL_MS_MAX = 5000;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
});
afterAll(() => postgres.stop());

test(`a copy of ${COPY_SECONDS} s under ${WRITES_PER_SECOND} writes/s`, {
  timeout: (COPY_SECONDS + 240) * 1000,
}, async () => {
  const db = await postgres.createDatabase();
  const connection = await db.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: COPY_SECONDS * ROWS_PER_SECOND });
  await connection.query(`SELECT pg_create_logical_replication_slot('serial', 'pgoutput')`);
  const load = await startLoad({ uri: db.uri, population, writesPerSecond: WRITES_PER_SECOND, seed: testSeed });
  const wal = await watchWal(db.uri);
  const service = await ServiceProcess.start({
    sourceUri: db.uri,
    rules: RULES,
    config: { snapshot: { max_rows_per_second: ROWS_PER_SECOND } },
  });
  try {
    await service.until('the copy is under way', async () => ((await copyStatus(service))?.tables ?? 0) > 0);
    const from = performance.now();
    const copied = async () => (await copyStatus(service))?.snapshotDone === true;
    await service.until('the copy is complete', copied, (COPY_SECONDS + 120) * 1000);
    const to = performance.now();
    await wal.stop();
    const report = await load.stop();

    const points = wal.points.filter(({ atMs }) => atMs >= from && atMs <= to);
    const first = points[0];
    const last = points.at(-1);
    if (first === undefined || last === undefined) throw new Error('nothing was read of the slots');
    const seconds = (last.atMs - first.atMs) / 1000;
    const minuteBytes = ((last.head - first.head) / seconds) * 60;
    const ours = slotPoints(points, 'sluice');
    const control = slotPoints(points, 'serial');
    const standstillMs = longestStandstillMs(ours);
    const retained = Math.max(...ours.map((point) => point.retainedBytes));
    const controlRetained = control.at(-1)?.retainedBytes ?? 0;
    console.log(
      JSON.stringify({
        copySeconds: Math.round(seconds),
        writesPerSecond: Math.round(report.writesPerSecond),
        walOfOneMinute: Math.round(minuteBytes),
        mostRetained: retained,
        longestStandstillMs: Math.round(standstillMs),
        retainedForSerialControl: controlRetained,
      }),
    );

    // It was slow, or nothing is shown.
    expect(seconds).toBeGreaterThan(COPY_SECONDS * 0.7);
    expect(retained).toBeLessThan(2 * minuteBytes);
    // The slot that confirms nothing keeps all that was written since, and never gives any of it back.
    expect(control.every(({ retainedBytes }, at) => retainedBytes >= (control[at - 1]?.retainedBytes ?? 0))).toBe(true);
    expect(controlRetained).toBeGreaterThanOrEqual(last.head - first.head);
    const unconfirmed = ours.map((point) => point.unconfirmedBytes).toSorted((a, b) => a - b);
    expect(unconfirmed[Math.floor(unconfirmed.length / 2)]).toBeLessThan(controlRetained / 2);
    // The small size also runs on machines that do much else at the same time.
    if (!fullSize) return;
    expect(standstillMs).toBeLessThan(STANDSTILL_MS_MAX);
    expect(controlRetained).toBeGreaterThan(3 * retained);
    expect(report.writesPerSecond).toBeGreaterThan(WRITES_PER_SECOND * 0.95);
  } finally {
    await Promise.allSettled([load.stop(), wal.stop()]);
    await service.dispose();
    await connection.end();
  }
});
