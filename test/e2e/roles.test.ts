/**
 * Several processes on one storage: two that replicate, of which one stands by, and two that serve behind a switch. Each
 * is restarted in turn under load, and no client notices: nobody is refused, nobody sees a state that never was.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asOf, recordHistory } from '../kit/history.ts';
import { type Load, startLoad } from '../kit/load.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { TcpSwitch } from '../kit/tcp-switch.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const ROWS = sized(3_000, 50_000);
const WRITES_PER_SECOND = sized(100, 500);
const SETTLE_MS = sized(300, 3_000);

let postgres: TestPostgres;
let source: TestDatabase;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { shared_buffers: '256MB' } });
  source = await postgres.createDatabase();
});
afterAll(() => postgres.stop());

interface StatusDocument {
  readonly service: { readonly role: string; readonly reason: string };
  readonly streams: readonly { readonly phase: string | null }[];
}

async function phaseOf(service: ServiceProcess): Promise<string | null> {
  return ((await service.status()) as StatusDocument).streams[0]?.phase ?? null;
}

/** A position of the clients behind everything that was committed until now. */
async function allReach(clients: readonly WatchingClient[], load: Load): Promise<void> {
  const n = load.committed;
  for (const client of clients) await client.reach(n);
}

test('each process is restarted in turn, and no client notices', { timeout: 600_000 }, async () => {
  const connection = await source.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const options = { sourceUri: source.uri, rules: RULES };
  const one = await ServiceProcess.prepare({ ...options, role: 'replicate' });
  const shared = { ...options, config: { storage: one.storage } };
  const two = await ServiceProcess.prepare({ ...shared, role: 'replicate' });
  const servers = await Promise.all([1, 2].map(() => ServiceProcess.prepare({ ...shared, role: 'serve' })));
  const all = [two, ...servers, one];
  // On a storage that does not exist yet.
  await Promise.all(all.map((service) => service.start()));
  const door = await TcpSwitch.start(servers);
  const load = await startLoad({ uri: source.uri, population, writesPerSecond: WRITES_PER_SECOND, seed: testSeed });
  const clients = TEST_USERS.map((user, index) =>
    WatchingClient.start(door, user, { clientId: `client-${index}`, format: index % 2 === 0 ? 'bson' : 'ndjson' }),
  );
  try {
    await allReach(clients, load);
    for (const client of clients) client.refusals.clear();
    // Both started at once: one deployed, one replicates.
    expect(((await one.status()) as StatusDocument).streams).toHaveLength(1);
    const [first, second] = (await phaseOf(one)) === 'standby' ? [two, one] : [one, two];
    // A standby is ready, serves nobody, and says once that it stands by.
    expect(await phaseOf(second)).toBe('standby');
    expect(await second.probe('readiness')).toBe(200);
    expect((await fetch(`${second.url}/sync/stream`, { method: 'POST' })).status).toBe(404);

    for (const server of servers) {
      expect((await server.terminate()).code).toBe(0);
      await sleep(SETTLE_MS);
      await server.start();
      await server.until('ready', async () => (await server.probe('readiness')) === 200, 60_000);
      await allReach(clients, load);
    }

    // The lease goes over at once, in order or not.
    expect((await first.terminate()).code).toBe(0);
    await allReach(clients, load);
    await second.until('streaming', async () => (await phaseOf(second)) === 'streaming', 60_000);
    await first.start();
    await first.until('standing by', async () => (await phaseOf(first)) === 'standby', 60_000);
    await second.kill();
    await allReach(clients, load);
    await first.until('streaming', async () => (await phaseOf(first)) === 'streaming', 60_000);

    // Nobody replicates: clients keep what they have, and a write checkpoint is made all the same; the answer waits.
    await first.terminate();
    const [writer] = clients as [WatchingClient];
    const id = await writer.client.writeCheckpoint();
    await sleep(SETTLE_MS);
    expect(writer.client.appliedWriteCheckpoint ?? 0n).toBeLessThan(id);
    await first.start();
    await writer.client.until((client) => (client.appliedWriteCheckpoint ?? 0n) >= id, 60_000);

    await load.stop();
    await allReach(clients, load);
    for (const client of clients) {
      const told = servers.map(({ output }) => output.slice(-4000)).join('\n\n');
      expect(Object.fromEntries(client.refusals), `${client.user.sub}; the servers said:\n${told}`).toEqual({});
      client.hold();
      for (const holding of client.holdings) {
        const expected = await asOf(connection, holding.n, () => expectedRows(connection, client.user));
        expect(differences(expected, holding.rows), `${client.user.sub} as of ${holding.n}`).toEqual([]);
      }
      expect(client.client.stats.checksumFailures).toBe(0);
    }
    expect(second.output.match(/standing by/g)).toHaveLength(1);
    expect(servers.map((server) => /standing by|lease/.test(server.output))).toEqual([false, false]);
    expect(await source.query('SELECT slot_name FROM pg_replication_slots')).toHaveLength(1);
    for (const client of clients) await client.stop();
  } finally {
    await load.stop().catch(() => {});
    for (const client of clients) await client.stop().catch(() => {});
    await door.stop();
    for (const service of all) await service.dispose();
    await connection.end();
  }
});
