/**
 * kill -9 at seeded random moments of a copy under load, restart on the same storage, again and again: nothing is lost,
 * nothing is doubled, nothing is read again but what was on its way, and clients that were connected all the time are
 * never told anything but a state that the source really had.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blockReads } from '../kit/block-reads.ts';
import { SyncClient } from '../kit/client.ts';
import { heldRows } from '../kit/held-rows.ts';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { startProxy } from '../kit/recording-proxy.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { seededRandom } from '../kit/seeded-random.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { copyStatus } from '../kit/status-watch.ts';
import {
  inFlightBytes,
  IN_FLIGHT_BYTES_MAX,
  nothingStored,
  READ_BY_BLOCKS,
  readAgain,
  readStoredCopy,
} from '../kit/stored-copy.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const ROWS = sized(60_000, 200_000);
const KILLS = sized(4, 10);
const WRITES_PER_SECOND = 500;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { shared_buffers: '256MB' } });
});
afterAll(() => postgres.stop());

test(`kill -9 at ${KILLS} moments of a copy of ${ROWS} rows (seed ${testSeed})`, {
  timeout: sized(800_000, 1_800_000),
}, async () => {
  const random = seededRandom(testSeed);
  const db = await postgres.createDatabase();
  const connection = await db.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const proxy = await startProxy({ host: '127.0.0.1', port: postgres.port });
  const sourceUri = db.uri.replace(`:${postgres.port}/`, `:${proxy.port}/`);
  const load = await startLoad({ uri: db.uri, population, writesPerSecond: WRITES_PER_SECOND, seed: testSeed });
  const service = await ServiceProcess.prepare({ sourceUri, rules: RULES, config: READ_BY_BLOCKS });
  const clients = TEST_USERS.map((user) => WatchingClient.start(service, user));
  const moments: string[] = [];
  const inFlight: number[] = [];
  try {
    // Rows after which to kill, spread at random over the whole copy.
    const thresholds = Array.from({ length: KILLS }, () => random.int(ROWS)).toSorted((a, b) => a - b);
    let mark = 0;
    let before = nothingStored;
    for (const threshold of thresholds) {
      await service.start();
      await service.until(
        `${threshold} rows are copied`,
        async () => {
          const status = await copyStatus(service);
          return status !== null && (status.snapshotDone || status.rows >= threshold);
        },
        120_000,
      );
      await sleep(random.int(150));
      await service.kill();
      const reads = blockReads(proxy.asked.slice(mark));
      expect(readAgain(before, reads)).toEqual([]);
      mark = proxy.asked.length;
      before = await readStoredCopy(() => service.openStorage());
      inFlight.push(await inFlightBytes(before, reads, connection));
      expect(inFlight.at(-1)).toBeLessThanOrEqual(IN_FLIGHT_BYTES_MAX);
      moments.push(
        `${before.tasks.reduce((sum, task) => sum + task.rows, 0)} rows, ${before.tasks.filter((task) => task.state === 'done').length}/${before.tasks.length} tasks`,
      );
    }
    await service.start();
    await service.until(
      'the copy is complete',
      async () => (await copyStatus(service))?.snapshotDone === true,
      120_000,
    );
    for (const client of clients) await client.reach(load.committed);
    expect(readAgain(before, blockReads(proxy.asked.slice(mark)))).toEqual([]);
    // All reads are seen on the wire, or the line above would prove nothing.
    expect(new Set(blockReads(proxy.asked).map(({ table }) => table)).size).toBe(before.tables.length);
    // Streaming is killed as well, in the middle of the load.
    await sleep(random.int(1000));
    await service.kill();
    await sleep(500);
    await service.start();
    await sleep(1000);
    await load.stop();
    for (const client of clients) await client.reach(load.committed);

    for (const client of clients) {
      client.hold();
      for (const holding of client.holdings) {
        const expected = await asOf(connection, holding.n, () => expectedRows(connection, client.user));
        expect(differences(expected, holding.rows), `${client.user.sub} as of ${holding.n}`).toEqual([]);
      }
      // A client that has nothing yet gets the same, by the same history.
      const fresh = new SyncClient({ endpoint: service.url, token: () => tokenFor(client.user) });
      await fresh.sync(undefined, 120_000);
      const now = await asOf(connection, null, () => expectedRows(connection, client.user));
      expect(differences(now, heldRows(fresh)), `${client.user.sub}, a fresh client`).toEqual([]);
      expect(fresh.stats.checksumFailures + client.client.stats.checksumFailures).toBe(0);
      await client.stop();
    }
    console.log(
      JSON.stringify({ rows: ROWS, kills: KILLS, seed: testSeed, killedAt: moments, inFlight, load: load.report() }),
    );
  } finally {
    await load.stop().catch(() => {});
    await service.dispose();
    await proxy.close();
    await connection.end();
  }
});
