/**
 * The slot is gone at a restart, and much has happened meanwhile: clients keep what they have until all rows have been
 * compared, and then receive what changed, and nothing else. And: another cluster at the same address is refused.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SyncClient } from '../kit/client.ts';
import { FaultProxy } from '../kit/fault-proxy.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { ADMIN_TOKEN, ServiceProcess, tokenFor } from '../kit/service-process.ts';
import { sized } from '../kit/size.ts';

const ROWS = sized(5_000, 100_000);
const CHANGED = 100;

const RULES = `bucket_definitions:
  everyone:
    data:
      - SELECT id, body FROM notes
`;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function newDatabase(server: TestPostgres, rows: number, name?: string): Promise<TestDatabase> {
  const database = await server.createDatabase(name);
  await database.query('CREATE TABLE notes (id int PRIMARY KEY, body text, seen int DEFAULT 0)');
  await database.query(`INSERT INTO notes SELECT n, 'body ' || n FROM generate_series(1, $1::int) n`, [rows]);
  await database.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  return database;
}

interface StreamFacts {
  readonly restart: { readonly kind: string; readonly reasons: readonly string[] } | null;
  readonly error: { readonly code: string } | null;
  readonly checkpoint: { readonly opId: number } | null;
  readonly tables: readonly { readonly snapshot: string }[];
}

async function streamOf(service: ServiceProcess): Promise<StreamFacts | undefined> {
  return ((await service.status()) as { streams: StreamFacts[] }).streams[0];
}

/** Follows one user through all connections; remembers each put and remove by its object. */
function follow(service: ServiceProcess) {
  const client = new SyncClient({ endpoint: service.url, token: () => tokenFor({ sub: 'ann', claims: {} }) });
  const received: string[] = [];
  /** Row counts at each completed checkpoint. */
  const sizes: number[] = [];
  let stopping = false;
  const run = async () => {
    while (!stopping) {
      try {
        await client.connect((line) => {
          const { data } = line as { data?: { data: { op: string; object_id: string }[] } };
          for (const op of data?.data ?? []) received.push(`${op.op} ${op.object_id}`);
          if ('checkpoint_complete' in line) sizes.push(client.rows('notes').size);
        });
      } catch {
        // The service is down, or has nothing yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const done = run();
  return {
    client,
    received,
    sizes,
    stop: async () => {
      stopping = true;
      client.disconnect();
      await done;
    },
  };
}

interface Followed {
  readonly database: TestDatabase;
  readonly service: ServiceProcess;
  readonly following: ReturnType<typeof follow>;
}

/** A service that has copied `rows` rows, and a client that holds them and has just been told so. */
async function withFollowed(rows: number, body: (world: Followed) => Promise<void>): Promise<void> {
  const database = await newDatabase(postgres, rows);
  const service = await ServiceProcess.start({ sourceUri: database.uri, rules: RULES });
  const following = follow(service);
  try {
    await following.client.until(() => following.client.rows('notes').size === rows, 60_000);
    following.received.length = 0;
    await body({ database, service, following });
  } finally {
    await following.stop();
    await service.dispose();
  }
}

async function dropSlots(database: TestDatabase): Promise<void> {
  await database.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()',
  );
}

const changes = [
  `DELETE FROM notes WHERE id <= ${CHANGED}`,
  `UPDATE notes SET body = 'changed' WHERE id > ${CHANGED} AND id <= ${2 * CHANGED}`,
  // Not synced: no client needs to hear of it.
  `UPDATE notes SET seen = 1 WHERE id > ${2 * CHANGED} AND id <= ${3 * CHANGED}`,
];

const expectedOps = Array.from({ length: 2 * CHANGED }, (_, at) =>
  at < CHANGED ? `REMOVE ${at + 1}` : `PUT ${at + 1}`,
);

test(
  'a slot that was dropped while we were away: clients hear of each change once, and of nothing else',
  () =>
    withFollowed(ROWS, async ({ database, service, following }) => {
      await service.terminate();
      await dropSlots(database);
      for (const sql of changes) await database.query(sql);
      following.received.length = 0;
      following.sizes.length = 0;
      await service.start();
      await service.until('all rows are compared', async () => following.received.length >= 2 * CHANGED, 60_000);
      const stream = await streamOf(service);
      expect(stream?.restart).toEqual({ kind: 'reconcile', reasons: [expect.stringContaining('does not exist')] });
      // What is streamed from now on comes after all that.
      await database.query(`UPDATE notes SET body = 'the end' WHERE id = ${ROWS}`);
      await following.client.until(() => following.received.includes(`PUT ${ROWS}`));
      expect([...following.received].sort()).toEqual([...expectedOps, `PUT ${ROWS}`].sort());
      expect(following.sizes.filter((size) => size !== ROWS && size !== ROWS - CHANGED)).toEqual([]);
      expect(following.client.stats.checksumFailures).toBe(0);
      expect(following.client.rows('notes').get('150')).toMatchObject({ body: 'changed' });
    }),
  180_000,
);

test(
  'a slot that is lost while we run is noticed, named, and mended in the same way',
  () =>
    withFollowed(1000, async ({ database, service, following }) => {
      await database.query(
        'SELECT pg_terminate_backend(active_pid), pg_sleep(0) FROM pg_replication_slots WHERE active AND database = current_database()',
      );
      await expect
        .poll(
          () =>
            dropSlots(database).then(
              () => true,
              () => false,
            ),
          { timeout: 20_000 },
        )
        .toBe(true);
      await database.query('DELETE FROM notes WHERE id <= 10');
      await service.until(
        'it is noticed',
        async () => (await streamOf(service))?.restart?.kind === 'reconcile',
        30_000,
      );
      await following.client.until(() => following.client.rows('notes').size === 990, 60_000);
      expect([...following.received].sort()).toEqual(Array.from({ length: 10 }, (_, n) => `REMOVE ${n + 1}`).sort());
      // Noticed by the look at the source's health, with nothing wrong on the wire. Tables of a publication that was made
      // anew are taken to be others, and sent anew (docs/decisions/0008-staged-tables.md).
      await database.query('BEGIN; DROP PUBLICATION powersync; CREATE PUBLICATION powersync FOR ALL TABLES; COMMIT');
      await service.until('it is named', () => service.output.includes('PSYNC_S1146'));
      await database.query('DELETE FROM notes WHERE id <= 20');
      await following.client.until(() => following.client.rows('notes').size === 980, 60_000);
    }),
  120_000,
);

test(
  'an operator has all rows compared: where nothing differs, clients hear nothing, and the stream goes on',
  () =>
    withFollowed(1000, async ({ database, service, following }) => {
      const response = await fetch(`${service.url}/api/snapshot/v1/compare`, {
        method: 'POST',
        headers: { authorization: `Token ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        body: '{}',
      });
      expect(response.status).toBe(200);
      const compared = async () => (await streamOf(service))?.restart?.kind === 'reconcile';
      await service.until('the comparison has begun', compared);
      await database.query('DELETE FROM notes WHERE id <= 10');
      await following.client.until(() => following.client.rows('notes').size === 990, 60_000);
      expect([...following.received].sort()).toEqual(Array.from({ length: 10 }, (_, n) => `REMOVE ${n + 1}`).sort());
      const stream = await streamOf(service);
      expect(stream?.restart).toMatchObject({ kind: 'reconcile', reasons: ['an operator asked for it'] });
    }),
  120_000,
);

test('another cluster at the same address is refused before anything is written', async () => {
  const second = await startPostgres();
  const [mine, other] = [await newDatabase(postgres, 100, 'app'), await newDatabase(second, 50, 'app')];
  const target = { host: '127.0.0.1', port: postgres.port };
  const address = await FaultProxy.start(target);
  const uri = new URL(mine.uri);
  uri.port = String(address.port);
  const service = await ServiceProcess.start({ sourceUri: String(uri), storageUri: mine.uri, rules: RULES });
  try {
    const before = async () => (await streamOf(service))?.checkpoint ?? null;
    await service.until('the copy is served', async () => (await before()) !== null, 60_000);
    await service.terminate();
    target.port = second.port;
    await service.start();
    await service.until('it is refused', async () => (await streamOf(service))?.error?.code === 'SLU_S1150');
    expect(await other.query('SELECT slot_name FROM pg_replication_slots')).toEqual([]);
    const client = new SyncClient({ endpoint: service.url, token: () => tokenFor({ sub: 'ann', claims: {} }) });
    const connected = client.connect().catch(() => undefined);
    await client.until(() => client.rows('notes').size === 100);
    client.disconnect();
    await connected;
  } finally {
    await service.dispose();
    await address.stop();
    await second.stop();
  }
}, 120_000);
