/**
 * The holder of the lease is stopped in the middle of its work (SIGSTOP), longer than its lease, and wakes again without
 * knowing: by then another one writes, and the old one cannot write a byte. Who wrote is counted inside the storage.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditWrites, Cluster, reigns } from '../kit/cluster.ts';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { fullSize, sized, testSeed } from '../kit/size.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const LEASE_SECONDS = sized(2, 15);
const PAUSE_MS = sized(8_000, 90_000);
const PAUSES = sized(1, 2);
const PATIENCE_MS = 120_000;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ durable: true, settings: { shared_buffers: '256MB' } });
});
afterAll(() => postgres.stop());

test(`a holder that sleeps ${PAUSE_MS} ms over a lease of ${LEASE_SECONDS} s writes nothing when it wakes`, {
  timeout: 900_000,
}, async () => {
  const [database, storage] = [await postgres.createDatabase(), await postgres.createDatabase()];
  const connection = await database.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: 2_000 });
  await recordHistory(connection);
  const cluster = await Cluster.start({ sourceUri: database.uri, rules: RULES, storage, leaseSeconds: LEASE_SECONDS });
  await auditWrites(storage);
  const load = await startLoad({ uri: database.uri, population, writesPerSecond: 100, seed: testSeed });
  const clients = TEST_USERS.map((user) => WatchingClient.start(cluster.door, user));
  for (const client of clients) client.holdEveryMs = sized(3_000, 10_000);
  try {
    for (const client of clients) await client.reach(load.committed, PATIENCE_MS);
    for (let pause = 0; pause < PAUSES; pause++) {
      const holder = await cluster.leader();
      if (holder?.pid === undefined) throw new Error('nobody has the lease');
      process.kill(holder.pid, 'SIGSTOP');
      const stoppedAt = performance.now();
      try {
        // Clients go on while it sleeps: what is written from here on, the sleeper cannot have brought.
        const written = load.committed + 2;
        for (const client of clients) await client.reach(written, PATIENCE_MS);
        const secondsToTakeOver = (performance.now() - stoppedAt) / 1000;
        console.log(JSON.stringify({ pause, leaseSeconds: LEASE_SECONDS, secondsToTakeOver }));
        if (fullSize) expect(secondsToTakeOver).toBeLessThan(2 * LEASE_SECONDS);
        await sleep(Math.max(0, PAUSE_MS - (performance.now() - stoppedAt)));
      } finally {
        process.kill(holder.pid, 'SIGCONT');
      }
      await holder.until(
        'it stands by',
        () => /standing by/.test(holder.output.split('"code":"SLU_R1101"').at(-1) ?? ''),
        PATIENCE_MS,
      );
      for (const client of clients) await client.reach(load.committed, PATIENCE_MS);
    }
    await load.stop();
    for (const client of clients) await client.reach(load.committed, PATIENCE_MS);
    const held = await reigns(storage);
    expect(held.length).toBeGreaterThan(PAUSES);
    expect(new Set(held.map(({ who }) => who)).size).toBe(2);
    for (const client of clients) {
      client.hold();
      for (const holding of client.holdings) {
        const then = await asOf(connection, holding.n, () => expectedRows(connection, client.user));
        expect(differences(then, holding.rows), `${client.user.sub} as of ${holding.n}`).toEqual([]);
      }
      expect(client.client.stats.checksumFailures).toBe(0);
      await client.stop();
    }
  } catch (error) {
    console.error(cluster.output);
    throw error;
  } finally {
    await load.stop().catch(() => {});
    for (const client of clients) await client.stop().catch(() => {});
    await cluster.stop();
    await connection.end();
  }
});
