/**
 * The storage is lost, and a backup of it is older than what clients hold: after `sluice new-epoch` all clients, those
 * from before the backup and those from after it, replace what they hold, and see nothing that never was.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asOf, recordHistory } from '../kit/history.ts';
import { type Load, startLoad } from '../kit/load.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS, type TestUser } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const ROWS = sized(1_000, 50_000);
const WRITES_PER_SECOND = sized(50, 500);
/** Long enough for ops that the backup does not know. */
const AFTER_BACKUP_MS = sized(1_000, 20_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function allReach(clients: readonly WatchingClient[], load: Load): Promise<void> {
  const n = load.committed;
  for (const client of clients) await client.reach(n, 120_000);
}

test('a restored backup and a new epoch: every client ends with the rows of the source', {
  timeout: 600_000,
}, async () => {
  const source = await postgres.createDatabase();
  const connection = await source.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const kept = await postgres.createDatabase();
  const storage = { type: 'postgresql', uri: kept.uri, sslmode: 'disable' };
  const service = await ServiceProcess.start({ sourceUri: source.uri, rules: RULES, config: { storage } });
  const load = await startLoad({ uri: source.uri, population, writesPerSecond: WRITES_PER_SECOND, seed: testSeed });
  const join = (user: TestUser, clientId: string) => WatchingClient.start(service, user, { clientId });
  const clients = TEST_USERS.map((user) => join(user, `before ${user.sub}`));
  try {
    await allReach(clients, load);
    // The backup is of one instant.
    await service.terminate();
    await postgres.createDatabase('backup', { template: kept.name });
    await service.start();
    clients.push(...TEST_USERS.slice(0, 2).map((user) => join(user, `after ${user.sub}`)));
    await allReach(clients, load);
    await sleep(AFTER_BACKUP_MS);
    await allReach(clients, load);

    await service.kill();
    const [lost, restored] = [kept.name, 'backup'];
    const ended = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = any($1)';
    await source.query(ended, [[lost, restored]]);
    await source.query(`drop database ${lost} with (force)`);
    await source.query(`create database ${lost} template ${restored}`);
    expect(await service.command('new-epoch', '--yes')).toMatch(/^Epoch [0-9a-f-]{36}\. Stream 1\d{3} begins/);
    const completes = clients.map(({ ticks }) => ticks.length);
    await service.start();
    clients.push(...TEST_USERS.slice(0, 1).map((user) => join(user, `new ${user.sub}`)));
    await allReach(clients, load);

    await load.stop();
    await allReach(clients, load);
    for (const [index, client] of clients.entries()) {
      expect(client.ticks.length, 'the client went on').toBeGreaterThan(completes[index] ?? 0);
      client.hold();
      for (const { n, rows } of client.holdings) {
        const expected = await asOf(connection, n, () => expectedRows(connection, client.user));
        expect(differences(expected, rows), `${client.user.sub} as of ${n}`).toEqual([]);
      }
      expect(client.client.stats.checksumFailures).toBe(0);
      // Of the new stream all of it.
      expect([...client.client.log.buckets.keys()].filter((bucket) => !/^1\d{3}#/.test(bucket))).toEqual([]);
    }
    const slots = 'select slot_name from pg_replication_slots where database = $1';
    await service.until('the old slot is dropped', async () => (await source.query(slots, [source.name])).length === 1);
    // Throws what a client found wrong at any time.
    for (const client of clients) await client.stop();
  } finally {
    await load.stop().catch(() => {});
    for (const client of clients) await client.stop().catch(() => {});
    await service.dispose();
    await connection.end();
  }
});
