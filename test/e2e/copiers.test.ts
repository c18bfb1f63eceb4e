/**
 * Several processes copy one stream: the replicator, which is slow here, and two that only copy, of which one is killed
 * and one stopped in order while they have tasks. Under writes, and what a client holds is what the source was.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const ROWS = sized(20_000, 200_000);
const WRITES_PER_SECOND = sized(100, 500);
/** Alone, the replicator would take a minute. */
const SLOW = { concurrency: 1, max_rows_per_second: Math.round(ROWS / 60) };
const QUICK = { concurrency: 2, max_rows_per_second: Math.round(ROWS / 12) };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { shared_buffers: '256MB' } });
});
afterAll(() => postgres.stop());

interface Status {
  readonly service: { readonly role: string; readonly ready: boolean };
  readonly streams: readonly {
    readonly progress: { readonly rows: number; readonly time: { readonly elapsedMs: number } | null };
    readonly gates: { readonly snapshot: { readonly open: boolean } };
    readonly tables: readonly {
      readonly name: string;
      readonly tasks: {
        readonly open: readonly {
          readonly active: boolean;
          readonly claimedBy: string | null;
          readonly rows: number;
        }[];
      };
    }[];
  }[];
}

async function streamOf(service: ServiceProcess): Promise<Status['streams'][number] | undefined> {
  return ((await service.status()) as Status).streams[0];
}

/** What the process reads now. */
async function tasksOf(service: ServiceProcess): Promise<readonly { readonly claimedBy: string | null }[]> {
  const tables = (await streamOf(service))?.tables ?? [];
  return tables.flatMap(({ tasks }) => tasks.open).filter(({ active }) => active);
}

test('three processes copy, two of them end, and the copy goes on', { timeout: 600_000 }, async () => {
  const source = await postgres.createDatabase();
  const connection = await source.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const load = await startLoad({ uri: source.uri, population, writesPerSecond: WRITES_PER_SECOND, seed: testSeed });
  const options = { sourceUri: source.uri, rules: RULES };
  const main = await ServiceProcess.prepare({ ...options, config: { snapshot: SLOW } });
  const shared = { storage: main.storage, snapshot: QUICK };
  const [first, second] = await Promise.all([
    ServiceProcess.prepare({ ...options, config: shared, role: 'copy' }),
    ServiceProcess.prepare({ ...options, config: shared, role: 'copy' }),
  ]);
  const [user] = TEST_USERS as readonly [(typeof TEST_USERS)[number]];
  const client = WatchingClient.start(main, user);
  try {
    // In any order: who copies waits for what there is to copy.
    await Promise.all([first.start(), main.start(), second.start()]);
    for (const copier of [first, second]) {
      await copier.until('it copies', async () => (await tasksOf(copier)).length > 0, 60_000);
      expect(((await copier.status()) as Status).service).toMatchObject({ role: 'copy', ready: true });
      expect(await copier.probe('readiness')).toBe(200);
      expect((await fetch(`${copier.url}/sync/stream`, { method: 'POST' })).status).toBe(404);
    }
    const claimants = new Set((await Promise.all([main, first, second].map(tasksOf))).flat().map((t) => t.claimedBy));
    expect(claimants.size).toBeGreaterThan(1);
    const before = (await streamOf(main))?.progress.rows ?? 0;

    await first.kill();
    expect((await second.terminate()).code).toBe(0);
    await main.until('nobody else has tasks', async () => {
      const tables = (await streamOf(main))?.tables ?? [];
      const open = tables.flatMap(({ tasks }) => tasks.open);
      return open.every(({ claimedBy, active }) => claimedBy === null || active);
    });
    expect((await streamOf(main))?.gates.snapshot.open).toBe(false);
    await first.start();
    await first.until(
      'the copy is complete',
      async () => (await streamOf(main))?.gates.snapshot.open === true,
      120_000,
    );
    expect((await streamOf(first))?.progress.time).not.toBe(null);
    expect((await streamOf(main))?.progress.rows).toBeGreaterThan(before);
    expect(main.output).not.toMatch(/replication failed/);

    await client.reach(load.committed);
    await load.stop();
    await client.reach(load.committed);
    client.hold();
    for (const holding of client.holdings) {
      const expected = await asOf(connection, holding.n, () => expectedRows(connection, user));
      expect(differences(expected, holding.rows), `as of ${holding.n}`).toEqual([]);
    }
    expect(client.client.stats.checksumFailures).toBe(0);
  } finally {
    await load.stop().catch(() => {});
    await client.stop().catch(() => {});
    for (const service of [first, second, main]) await service.dispose();
    await connection.end();
  }
});
