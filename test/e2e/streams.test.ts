/** Sync streams through the whole service: defaults, subscriptions, priorities, what is unknown, and the real SDK's use of them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SyncClient, type SyncClientOptions } from '../kit/client.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { SdkClient } from '../kit/sdk-client.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';

const RULES = `config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM todos WHERE owner = auth.user_id()
  by_list:
    priority: 1
    accept_potentially_dangerous_queries: true
    query: SELECT * FROM todos WHERE list_id = subscription.parameter('list_id')
  shared:
    query: SELECT * FROM todos WHERE list_id IN (SELECT list_id FROM members WHERE user_id = auth.user_id())
`;
const USER = { sub: 'ann', claims: {} };

let postgres: TestPostgres;
let database: TestDatabase;
let service: ServiceProcess;

beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query('CREATE TABLE todos (id text PRIMARY KEY, list_id text, owner text, body text)');
  await database.query('CREATE TABLE members (list_id text, user_id text, PRIMARY KEY (list_id, user_id))');
  await database.query(
    `INSERT INTO todos VALUES ('t1','a','ann','one'), ('t2','a','ben','two'), ('t3','b','ben','three'), ('t4','c','ben','four')`,
  );
  await database.query(`INSERT INTO members VALUES ('b','ann')`);
  await database.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  service = await ServiceProcess.start({ sourceUri: database.uri, rules: RULES });
  await service.until('ready', async () => (await service.probe('readiness')) === 200);
});
afterAll(async () => {
  await service.dispose();
  await postgres.stop();
});

async function synced(options: Partial<SyncClientOptions>): Promise<SyncClient> {
  const client = new SyncClient({ endpoint: service.url, token: await tokenFor(USER), ...options });
  await client.sync();
  return client;
}

function ids(client: SyncClient): string[] {
  return [...client.rows('todos').keys()].sort();
}

function subscription(
  stream: string,
  parameters: Record<string, unknown> | null,
  override_priority: number | null = null,
) {
  return { stream, parameters, override_priority };
}

test('without subscriptions, the default streams', async () => {
  const client = await synced({});
  expect(ids(client)).toEqual(['t1']);
  expect(client.streams).toEqual([{ name: 'mine', is_default: true, errors: [] }]);
});

test('subscriptions add their buckets, with their reasons and priorities; unknown ones are left out of the streams', async () => {
  const buckets: Record<string, unknown>[] = [];
  const client = new SyncClient({
    endpoint: service.url,
    token: await tokenFor(USER),
    subscriptions: [
      subscription('by_list', { list_id: 'a' }),
      subscription('nope', null),
      subscription('by_list', { list_id: 'c' }, 0),
      subscription('shared', null, 2),
    ],
  });
  const connection = client.connect((line) => {
    const checkpoint = line['checkpoint'] as { buckets: Record<string, unknown>[] } | undefined;
    buckets.push(...(checkpoint?.buckets ?? []));
  });
  await client.until(() => client.stats.completes > 0);
  client.disconnect();
  await connection;
  expect(ids(client)).toEqual(['t1', 't2', 't3', 't4']);
  expect(client.streams.map((stream) => [stream.name, stream.is_default])).toEqual([
    ['mine', true],
    ['by_list', false],
    ['shared', false],
  ]);
  const said = buckets.map(({ bucket, priority, subscriptions, count }) => [
    String(bucket).replace(/^1#(\w+).*$/, '$1'),
    priority,
    subscriptions,
    count,
  ]);
  expect(said.sort((a, b) => Number(a[1]) - Number(b[1]))).toEqual([
    ['by_list', 0, [{ sub: 2 }], 1],
    ['by_list', 1, [{ sub: 0 }], 2],
    // Streams with the same rows share buckets, under the name of the first.
    ['by_list', 2, [{ sub: 3 }], 1],
    ['mine', 3, [{ default: 0 }], 1],
  ]);
  expect(client.transcript.filter((line) => line.startsWith('partial'))).toEqual([
    'partial(0)',
    'partial(1)',
    'partial(2)',
  ]);
});

test('defaults can be left out', async () => {
  const client = await synced({ includeDefaults: false, subscriptions: [subscription('by_list', { list_id: 'c' })] });
  expect(ids(client)).toEqual(['t4']);
  expect(client.streams.map((stream) => stream.name)).toEqual(['by_list']);
  expect(ids(await synced({ includeDefaults: false }))).toEqual([]);
});

test('an open subscription follows its parameter table', async () => {
  const client = new SyncClient({
    endpoint: service.url,
    token: await tokenFor(USER),
    includeDefaults: false,
    subscriptions: [subscription('shared', null)],
  });
  const connection = client.connect();
  await client.until(() => ids(client).join() === 't3');
  await database.query(`INSERT INTO members VALUES ('c','ann')`);
  await client.until(() => ids(client).join() === 't3,t4');
  await database.query(`DELETE FROM members WHERE user_id = 'ann' AND list_id = 'b'`);
  await client.until(() => ids(client).join() === 't4');
  await database.query(`UPDATE members SET list_id = 'b' WHERE user_id = 'ann'`);
  await client.until(() => ids(client).join() === 't3');
  client.disconnect();
  await connection;
});

test('the SDK subscribes, and gets what it asked for', async () => {
  const client = await SdkClient.open({
    endpoint: service.url,
    token: () => tokenFor(USER),
    tables: { todos: { list_id: 'text', owner: 'text', body: 'text' } },
  });
  try {
    await client.connect();
    await client.firstSync();
    await client.until('SELECT count(*) FROM todos', 1);
    const unsubscribe = await client.subscribe('by_list', { list_id: 'a' }, { priority: 0 });
    await client.until('SELECT count(*) FROM todos', 2);
    await database.query(`INSERT INTO todos VALUES ('t5','a','ben','five')`);
    await client.until(`SELECT body FROM todos WHERE id = 't5'`, 'five');
    unsubscribe();
    expect(client.errors).toEqual([]);
  } finally {
    await client.close();
  }
});
