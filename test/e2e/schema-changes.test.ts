/**
 * What people do to tables while they are replicated: each change of a table's structure, identity or contents, followed
 * by some writes, ends with clients holding exactly what the source holds.
 */
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SyncClient } from '../kit/client.ts';
import { heldRows } from '../kit/held-rows.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';

const RULES = `bucket_definitions:
  everything:
    data:
      - SELECT * FROM "case_%"
      - SELECT * FROM marker
`;
const ROWS = 200;

let postgres: TestPostgres;
let db: TestDatabase;
let connection: Client;
let service: ServiceProcess;
let client: SyncClient;
let connected: Promise<void>;
let marks = 0;

/** Statements in turn; each is a transaction, or several where it says so. `T` is the case's own table. */
const cases: Readonly<Record<string, readonly string[]>> = {
  drop_column: ['ALTER TABLE T DROP COLUMN junk', `UPDATE T SET name = 'x' WHERE id = 'r1'`],
  add_column: ['ALTER TABLE T ADD COLUMN extra int8', `UPDATE T SET extra = 7`],
  rename_column: ['ALTER TABLE T RENAME COLUMN junk TO treasure', `UPDATE T SET name = 'x' WHERE id = 'r1'`],
  change_type: ['ALTER TABLE T ALTER COLUMN junk TYPE int8 USING 5', `UPDATE T SET name = 'x' WHERE id = 'r1'`],
  recreate: ['DROP TABLE T; CREATE TABLE T (id text PRIMARY KEY, name text)', `INSERT INTO T VALUES ('new', 'n')`],
  another_key: [
    'ALTER TABLE T DROP CONSTRAINT T_pkey; ALTER TABLE T ADD PRIMARY KEY (name)',
    `UPDATE T SET junk = 'zz' WHERE id = 'r2'; DELETE FROM T WHERE id = 'r3'; UPDATE T SET name = 'moved' WHERE id = 'r4'`,
  ],
  identity_full: [
    'ALTER TABLE T REPLICA IDENTITY FULL',
    `UPDATE T SET id = 'r2b' WHERE id = 'r2'; DELETE FROM T WHERE id = 'r3'`,
    'ALTER TABLE T REPLICA IDENTITY DEFAULT',
    `UPDATE T SET id = 'r2c' WHERE id = 'r2b'; DELETE FROM T WHERE id = 'r4'`,
  ],
  identity_index: [
    'ALTER TABLE T ALTER name SET NOT NULL; CREATE UNIQUE INDEX T_name ON T (name); ALTER TABLE T REPLICA IDENTITY USING INDEX T_name',
    `UPDATE T SET name = 'other' WHERE id = 'r2'; DELETE FROM T WHERE id = 'r3'; UPDATE T SET junk = 'j' WHERE id = 'r4'`,
  ],
  emptied: [`TRUNCATE T; INSERT INTO T SELECT 'q' || n, 'n', NULL FROM generate_series(1, 50) AS n`],
  emptied_twice: [
    `BEGIN; TRUNCATE T; INSERT INTO T VALUES ('a', 'a'); TRUNCATE T; INSERT INTO T VALUES ('b', 'b'); COMMIT`,
  ],
  swapped_keys: [
    `BEGIN; UPDATE T SET id = 'tmp' WHERE id = 'r1'; UPDATE T SET id = 'r1' WHERE id = 'r2'; UPDATE T SET id = 'r2' WHERE id = 'tmp'; COMMIT`,
  ],
  rotated_keys: [`BEGIN; UPDATE T SET id = 'x' || id; UPDATE T SET id = 'r' || (substr(id, 3)::int % 200 + 1); COMMIT`],
  subtransactions: [
    `BEGIN; INSERT INTO T VALUES ('s1', 'a'); SAVEPOINT a; INSERT INTO T VALUES ('s2', 'b'); DELETE FROM T WHERE id = 'r9';
     ROLLBACK TO a; INSERT INTO T VALUES ('s3', 'c'); SAVEPOINT b; INSERT INTO T VALUES ('s4', 'd'); RELEASE b; COMMIT`,
  ],
  large_transaction: [`INSERT INTO T SELECT 'h' || n, repeat('x', 300), NULL FROM generate_series(1, 40000) AS n`],
  renamed_away: ['ALTER TABLE T RENAME TO away', `UPDATE away SET name = 'hidden' WHERE id = 'r1'`],
  renamed_within: [
    'ALTER TABLE T RENAME TO case_of_another_name',
    `UPDATE case_of_another_name SET name = 'seen' WHERE id = 'r1'`,
  ],
};

beforeAll(async () => {
  postgres = await startPostgres();
  db = await postgres.createDatabase();
  connection = await db.connect();
  await connection.query('CREATE TABLE marker (id text PRIMARY KEY, n int8)');
  await connection.query(`INSERT INTO marker VALUES ('marker', 0)`);
  for (const name of Object.keys(cases)) {
    await connection.query(`CREATE TABLE case_${name} (id text PRIMARY KEY, name text, junk text)`);
    await connection.query(
      `INSERT INTO case_${name} SELECT 'r' || n, 'name ' || n FROM generate_series(1, ${ROWS}) AS n`,
    );
  }
  await connection.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  service = await ServiceProcess.start({ sourceUri: db.uri, rules: RULES });
  await service.until('ready', async () => (await service.probe('readiness')) === 200);
  client = new SyncClient({ endpoint: service.url, token: await tokenFor({ sub: 'anyone', claims: {} }) });
  connected = client.connect();
  await client.until(({ stats }) => stats.completes > 0);
});
afterAll(async () => {
  client.disconnect();
  await connected;
  await connection.end();
  await service.dispose();
  await postgres.stop();
});

/** Resolves when the client holds a checkpoint behind everything written so far, copies included. */
async function settled(): Promise<void> {
  const mark = ++marks;
  await connection.query('UPDATE marker SET n = $1', [mark]);
  await client.until(({ rows }) => rows.call(client, 'marker').get('marker')?.['n'] === mark);
}

/** All tables that the rules read, as the source has them now. */
async function expectSame(): Promise<void> {
  const { rows: tables } = await connection.query<{ relname: string }>(
    `SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'case\\_%'`,
  );
  const held = heldRows(client);
  for (const { relname } of tables) {
    const { rows } = await connection.query<{ id: string; row: unknown }>(
      `SELECT id, to_jsonb(t) AS row FROM ${relname} AS t`,
    );
    const got = new Map([...(held.get(relname) ?? [])].map(([id, json]) => [id, JSON.parse(json) as unknown]));
    expect(got, relname).toEqual(new Map(rows.map(({ id, row }) => [id, row])));
  }
  const names = new Set(tables.map(({ relname }) => relname));
  expect([...held.keys()].filter((name) => name.startsWith('case_') && !names.has(name))).toEqual([]);
  expect(service.output).not.toContain('SLU_X');
}

test.each(Object.entries(cases))('%s', async (name, statements) => {
  for (const statement of statements) {
    await connection.query(statement.replaceAll(/\bT\b/g, `case_${name}`).replaceAll('T_', `case_${name}_`));
  }
  await settled();
  await expectSame();
});

test('a new table that the rules read comes in one step, and checkpoints do not wait for it', async () => {
  await connection.query('CREATE TABLE case_new (id text PRIMARY KEY, v int8)');
  await connection.query(`INSERT INTO case_new SELECT 'k' || n, n FROM generate_series(1, 500) AS n`);
  await settled();
  await client.until(() => (heldRows(client).get('case_new')?.size ?? 0) > 0);
  await settled();
  await expectSame();
});
