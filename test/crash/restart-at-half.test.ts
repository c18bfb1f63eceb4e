/**
 * kill -9 at half of a copy: each task that was being read reads one chunk again at most, counted on the wire, and the
 * percentage that people see does not fall.
 */
import { limits } from '@sluice/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blockReads } from '../kit/block-reads.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { startProxy } from '../kit/recording-proxy.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { sized } from '../kit/size.ts';
import { inFlightBytes, READ_BY_BLOCKS, readAgain, readStoredCopy } from '../kit/stored-copy.ts';

/** So many that the copy has several tasks, of several chunks each. */
const ROWS = sized(30_000, 400_000);

const SCHEMA = `
  create table big (id int primary key, pad text);
  insert into big select i, repeat('p', 1500) from generate_series(1, ${ROWS}) i;
  analyze;
  create publication powersync for table big`;

const RULES = `bucket_definitions:
  all:
    data:
      - SELECT id, pad FROM big
`;

interface Status {
  readonly streams: readonly {
    readonly progress: { readonly rows: number; readonly percent: number };
    readonly gates: { readonly snapshot: { readonly open: boolean } };
    readonly tables: readonly object[];
  }[];
}

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_wal_size: '4GB' } });
});
afterAll(() => postgres.stop());

test('a copy that was killed at half', { timeout: 300_000 }, async () => {
  const database = await postgres.createDatabase();
  await database.query(SCHEMA);
  const connection = await database.connect();
  const proxy = await startProxy({ host: '127.0.0.1', port: postgres.port });
  const service = await ServiceProcess.prepare({
    sourceUri: database.uri.replace(`:${postgres.port}/`, `:${proxy.port}/`),
    rules: RULES,
    config: READ_BY_BLOCKS,
  });
  const stream = async () => ((await service.status()) as Status).streams[0];
  try {
    await service.start();
    let seen = { percent: 0, rows: 0 };
    await service.until(
      'half is copied',
      async () => {
        seen = (await stream())?.progress ?? seen;
        return seen.percent >= 50;
      },
      120_000,
    );
    await service.kill();
    const reads = blockReads(proxy.asked);
    const mark = proxy.asked.length;
    const stored = await readStoredCopy(() => service.openStorage());
    const open = stored.tasks.filter(({ state }) => state === 'pending');
    expect(open.length).toBeGreaterThan(0);
    const again = await inFlightBytes(stored, reads, connection);
    expect(again).toBeLessThanOrEqual(limits.snapshotChunkBytesMax);

    await service.start();
    await service.until('the copy is looked at', async () => ((await stream())?.tables.length ?? 0) > 0);
    const percent = (await stream())?.progress.percent;
    expect(percent).toBeGreaterThanOrEqual(seen.percent);
    await service.until('the copy is complete', async () => (await stream())?.gates.snapshot.open === true, 120_000);
    const later = blockReads(proxy.asked.slice(mark));
    expect(later.length).toBeGreaterThan(0);
    expect(readAgain(stored, later)).toEqual([]);
    expect((await stream())?.progress.rows).toBe(ROWS);
    console.log(
      JSON.stringify({ rows: ROWS, killedAt: seen, after: percent, openTasks: open.length, readAgainBytes: again }),
    );
  } finally {
    await service.dispose();
    await proxy.close();
    await connection.end();
  }
});
