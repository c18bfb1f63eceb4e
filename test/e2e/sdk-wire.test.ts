/**
 * The real SDK in both formats, judged row by row: what its op log holds equals, byte for byte, what SQL on the source
 * says its user must have; and what passed over the wire shows that a client that comes back downloads nothing again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { differences, expectedRows, type Rows } from '../kit/oracle.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { type RecordingProxy, startProxy } from '../kit/recording-proxy.ts';
import { RULES, TEST_USERS, type TestUser } from '../kit/rules.ts';
import { createSchema, type Population, seedRows } from '../kit/schema.ts';
import { SdkClient } from '../kit/sdk-client.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';

const ROWS = sized(10_000, 100_000);
const WRITES_PER_SECOND = 200;
const BSON = 'application/vnd.powersync.bson-stream;q=0.9';
/** As long as the other, and nobody's type: what is left of the client's wishes is NDJSON. */
const NOTHING = 'application/vnd.powersync.no-stream;q=0.999';
const TABLES = {
  orgs: { name: 'text', plan: 'text' },
  ticker: { n: 'integer' },
  notes: { owner_id: 'text', org_id: 'integer', title: 'text', body: 'text', starred: 'integer', updated_at: 'text' },
  users: { name: 'text', email: 'text' },
  readings: { seq: 'integer', reading: 'real', at: 'text' },
} as const;

let postgres: TestPostgres;
let db: TestDatabase;
let connection: Client;
let population: Population;
let service: ServiceProcess;

beforeAll(async () => {
  postgres = await startPostgres();
  db = await postgres.createDatabase();
  connection = await db.connect();
  await createSchema(connection);
  population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  service = await ServiceProcess.start({ sourceUri: db.uri, rules: RULES });
  await service.until('ready', async () => (await service.probe('readiness')) === 200);
});
afterAll(async () => {
  await service.dispose();
  await connection.end();
  await postgres.stop();
});

/** The client's op log: its live PUTs, as text. */
async function sdkRows(client: SdkClient): Promise<Rows> {
  const all = new Map<string, Map<string, string>>();
  const rows = await client.all<{ row_type: string; row_id: string; data: string }>(
    'SELECT row_type, row_id, data FROM ps_oplog WHERE data IS NOT NULL ORDER BY op_id',
  );
  for (const { row_type, row_id, data } of rows) {
    let table = all.get(row_type);
    if (table === undefined) all.set(row_type, (table = new Map()));
    table.set(row_id, data);
  }
  return all;
}

async function expectEqual(client: SdkClient, user: TestUser): Promise<void> {
  const expected = await asOf(connection, null, () => expectedRows(connection, user));
  expect(differences(expected, await sdkRows(client))).toEqual([]);
}

describe.each(['bson', 'ndjson'] as const)('%s', (format) => {
  test('first sync under writes, updates and deletes, coming back, without a word of complaint', async () => {
    const user = TEST_USERS[format === 'bson' ? 0 : 2] as TestUser;
    const formats = new Set<string>();
    const proxy: RecordingProxy = await startProxy({
      host: '127.0.0.1',
      port: Number(new URL(service.url).port),
      rewrite: (text) => (format === 'bson' ? text : text.replace(BSON, NOTHING)),
      onAnswer: (text) => {
        for (const [, type] of text.matchAll(/content-type: (application\/(?:x-ndjson|vnd[^;\r]*))/gi))
          formats.add(type ?? '');
      },
    });
    const folder = await mkdtemp(join(tmpdir(), 'sluice-sdk-'));
    const open = () =>
      SdkClient.open({
        endpoint: `http://127.0.0.1:${proxy.port}`,
        token: () => tokenFor(user),
        tables: TABLES,
        folder,
        upload: async ({ id, data }) => {
          await connection.query(`SET load.n = 0`);
          await connection.query('UPDATE notes SET title = $2 WHERE id = $1', [id, data?.['title']]);
        },
      });
    const load = await startLoad({
      uri: db.uri,
      population,
      writesPerSecond: WRITES_PER_SECOND,
      seed: testSeed + (format === 'bson' ? 0 : 1),
      ...(await previousTransactions()),
    });
    try {
      const client = await open();
      await client.connect();
      await client.firstSync();
      await client.until(`SELECT n >= ${load.committed + 100} FROM ticker`, 1);
      await load.stop();
      await client.until('SELECT n FROM ticker', load.committed);
      await expectEqual(client, user);
      expect([...formats]).toEqual([
        format === 'bson' ? 'application/vnd.powersync.bson-stream' : 'application/x-ndjson',
      ]);
      const firstBytes = proxy.answeredBytes;

      // Comes back after nothing, and after little: what it is sent then is next to nothing.
      await client.close();
      const again = await open();
      await again.connect();
      await connection.query(`SET load.n = ${load.committed}`);
      await connection.query(`UPDATE orgs SET name = 'changed while away' WHERE id = 1`);
      await again.until('SELECT name FROM orgs WHERE id = 1', 'changed while away');
      await expectEqual(again, user);
      expect(proxy.answeredBytes - firstBytes).toBeLessThan(firstBytes / 20);

      // The source is idle but for this one upload: its write checkpoint needs no other traffic.
      const [note] = await again.all<{ id: string }>('SELECT id FROM notes LIMIT 1');
      await again.execute('UPDATE notes SET title = ? WHERE id = ?', ['written on the phone', note?.id]);
      await again.until('SELECT count(*) FROM ps_crud', 0);
      await again.until(`SELECT count(*) FROM ps_oplog WHERE row_id = '${note?.id}' AND data LIKE '%on the phone%'`, 1);
      await again.until(`SELECT count(*) FROM ps_buckets WHERE name = '$local'`, 0);
      await expectEqual(again, user);
      expect([...client.errors, ...again.errors, ...client.warnings, ...again.warnings]).toEqual([]);
      await again.close();
    } finally {
      await load.stop().catch(() => {});
      await proxy.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** Transactions of the load are numbered through. */
async function previousTransactions(): Promise<{ readonly after: number }> {
  const { rows } = await connection.query<{ n: string }>('SELECT n FROM ticker');
  return { after: Number(rows[0]?.n ?? 0) };
}
