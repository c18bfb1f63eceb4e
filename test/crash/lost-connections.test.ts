/**
 * The way to the source breaks again and again, in mid-copy and in mid-stream: the service stays up and goes on by
 * itself, clients keep their connection and are never told anything but a state that the source really had.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { startProxy } from '../kit/recording-proxy.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { seededRandom } from '../kit/seeded-random.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const ROWS = sized(50_000, 300_000);
const CUTS = sized(6, 30);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test(`the connections to the source are cut ${CUTS} times`, { timeout: sized(600_000, 900_000) }, async () => {
  const random = seededRandom(testSeed);
  const db = await postgres.createDatabase();
  const connection = await db.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const proxy = await startProxy({ host: '127.0.0.1', port: postgres.port });
  const load = await startLoad({ uri: db.uri, population, writesPerSecond: 300, seed: testSeed });
  const sourceUri = db.uri.replace(`:${postgres.port}/`, `:${proxy.port}/`);
  const service = await ServiceProcess.start({ sourceUri, rules: RULES });
  const { pid } = service;
  const clients = TEST_USERS.map((user) => WatchingClient.start(service, user));
  try {
    for (let cut = 0; cut < CUTS; cut++) {
      await sleep(300 + random.int(2500));
      proxy.cutAll();
    }
    await sleep(1000);
    await load.stop();
    // The back-off after so many failures is bounded.
    for (const client of clients) await client.reach(load.committed);
    for (const client of clients) {
      client.hold();
      for (const holding of client.holdings) {
        const expected = await asOf(connection, holding.n, () => expectedRows(connection, client.user));
        expect(differences(expected, holding.rows), `${client.user.sub} as of ${holding.n}`).toEqual([]);
      }
      expect(client.client.stats.checksumFailures).toBe(0);
      expect(client.refusals.get('connection lost') ?? 0).toBe(0);
    }
    expect(service.pid).toBe(pid);
    expect(service.running).toBe(true);
    await expect.poll(() => service.probe('readiness')).toBe(200);
    expect(service.output).not.toContain('SLU_X');
    expect(service.output).not.toMatch(/\\n\s+at /);
  } finally {
    await Promise.allSettled([load.stop(), ...clients.map((client) => client.stop())]);
    await service.dispose();
    await proxy.close();
    await connection.end();
  }
});
