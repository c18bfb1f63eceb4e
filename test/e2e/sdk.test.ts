/** The real PowerSync SDK against the real service over a real Postgres: first sync, changes, uploads, coming back. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createExampleDatabase, EXAMPLE_DATABASE } from '../../service/src/dev/example-data.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { type SdkChange, SdkClient, type SdkClientOptions } from '../kit/sdk-client.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import pg from 'pg';

const TABLES = {
  users: { name: 'text' },
  lists: { owner_id: 'text', name: 'text', created_at: 'text' },
  todos: { list_id: 'text', description: 'text', completed: 'integer', due_on: 'text' },
} as const;

let postgres: TestPostgres;
let service: ServiceProcess;
let source: pg.Client;
const clients: SdkClient[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  const uri = (database: string) => postgres.uri.replace(/\/postgres$/, `/${database}`);
  await createExampleDatabase(uri);
  source = new pg.Client({ connectionString: uri(EXAMPLE_DATABASE) });
  await source.connect();
  const rules = await readFile(fileURLToPath(new URL('../../sync-rules.yaml', import.meta.url)), 'utf8');
  service = await ServiceProcess.start({ sourceUri: uri(EXAMPLE_DATABASE), rules });
  await service.until('ready', async () => (await service.probe('readiness')) === 200);
});
afterAll(async () => {
  await service.dispose();
  await source.end();
  await postgres.stop();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

async function connect(user: string, options: Partial<SdkClientOptions> = {}): Promise<SdkClient> {
  const client = await SdkClient.open({
    endpoint: service.url,
    token: () => tokenFor({ sub: user, claims: {} }),
    tables: TABLES,
    upload: uploadToSource,
    ...options,
  });
  clients.push(client);
  await client.connect();
  return client;
}

/** What the app's backend does: the list stays as it is unless the name is allowed. */
async function uploadToSource({ op, table, id, data }: SdkChange): Promise<void> {
  if (table !== 'todos') return;
  if (op === 'DELETE') await source.query('DELETE FROM todos WHERE id = $1', [id]);
  else if (op === 'PUT') {
    const values = [id, data?.list_id, data?.description, data?.completed === 1];
    await source.query('INSERT INTO todos (id, list_id, description, completed) VALUES ($1, $2, $3, $4)', values);
  } else if (data?.description !== 'forbidden') {
    await source.query('UPDATE todos SET description = $2 WHERE id = $1', [id, data?.description]);
  }
}

async function countOf(sql: string): Promise<number> {
  const { rows } = await source.query<{ count: string }>(sql);
  return Number(rows[0]?.count);
}

test('a first sync gives a user exactly their rows', async () => {
  const client = await connect('ann');
  await client.firstSync();
  const mine = `SELECT list_id FROM list_members WHERE user_id = 'ann'`;
  const todos = await countOf(`SELECT count(*) FROM todos WHERE list_id IN (${mine})`);
  expect(todos).toBeGreaterThan(100);
  await client.until('SELECT count(*) FROM todos', todos);
  await client.until(
    'SELECT count(*) FROM lists',
    await countOf(`SELECT count(*) FROM list_members WHERE user_id = 'ann'`),
  );
  await client.until('SELECT count(*) FROM users', 20);
  expect(client.errors).toEqual([]);
});

test('changes of rows and of memberships arrive', async () => {
  const client = await connect('ben');
  await client.firstSync();
  const lists = (await client.all('SELECT id FROM lists')).length;
  await source.query(`UPDATE users SET name = 'Benjamin' WHERE id = 'ben'`);
  await client.until(`SELECT name FROM users WHERE id = 'ben'`, 'Benjamin');
  await source.query(`INSERT INTO lists (id, owner_id, name) VALUES ('new-list', 'ann', 'Shared')`);
  await source.query(`INSERT INTO todos (id, list_id, description) VALUES ('new-todo', 'new-list', 'first')`);
  await source.query(`INSERT INTO list_members VALUES ('new-list', 'ben')`);
  await client.until(`SELECT description FROM todos WHERE id = 'new-todo'`, 'first');
  await client.until('SELECT count(*) FROM lists', lists + 1);
  await source.query(`DELETE FROM list_members WHERE list_id = 'new-list'`);
  await client.until('SELECT count(*) FROM lists', lists);
  await client.until(`SELECT count(*) FROM todos WHERE id = 'new-todo'`, 0);
  expect(client.errors).toEqual([]);
});

test.each(['legacy', 'requests'] as const)(
  'local writes come back through the source, and rejected ones vanish (%s)',
  async (checkpointMode) => {
    const client = await connect('cleo', { checkpointMode });
    await client.firstSync();
    const [list] = await client.all<{ id: string }>('SELECT id FROM lists ORDER BY id LIMIT 1');
    const [old] = await client.all<{ id: string; description: string }>(
      'SELECT id, description FROM todos ORDER BY id LIMIT 1',
    );
    const id = `made-on-the-phone-${checkpointMode}`;
    await client.execute('INSERT INTO todos (id, list_id, description, completed) VALUES (?, ?, ?, 0)', [
      id,
      list?.id,
      'mine',
    ]);
    await client.execute('UPDATE todos SET description = ? WHERE id = ?', ['forbidden', old?.id]);
    await client.until(`SELECT count(*) FROM ps_crud`, 0);
    await client.until(`SELECT description FROM todos WHERE id = '${old?.id}'`, old?.description);
    // The row is there as the source has it, in a bucket, and not only as a local write.
    await client.until(`SELECT count(*) FROM ps_oplog WHERE row_type = 'todos' AND row_id = '${id}'`, 1);
    await client.until(`SELECT description FROM todos WHERE id = '${id}'`, 'mine');
    expect(client.errors).toEqual([]);
  },
);

test('a client that comes back gets only what it missed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sdk-'));
  try {
    const client = await connect('dan', { folder });
    await client.firstSync();
    const before = await client.buckets();
    await client.close();
    clients.splice(0);
    await source.query(`UPDATE users SET name = 'Daniel' WHERE id = 'dan'`);
    const again = await connect('dan', { folder });
    await again.until(`SELECT name FROM users WHERE id = 'dan'`, 'Daniel');
    const after = await again.buckets();
    expect(after.map((bucket) => bucket.name)).toEqual(before.map((bucket) => bucket.name));
    expect(Math.min(...after.map((bucket) => bucket.last_op))).toBeGreaterThan(
      Math.max(...before.map((bucket) => bucket.last_op)) - 1,
    );
    expect(again.errors).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a service that restarts is found again, with nothing lost', async () => {
  const client = await connect('eva');
  await client.firstSync();
  await service.kill();
  await source.query(`UPDATE users SET name = 'Evamaria' WHERE id = 'eva'`);
  await service.start();
  await client.until(`SELECT name FROM users WHERE id = 'eva'`, 'Evamaria', 40_000);
});
