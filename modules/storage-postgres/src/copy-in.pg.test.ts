import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from 'pg';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { CopyRows } from './copy-in.ts';
import { TransactionSql } from './sql.ts';

let postgres: TestPostgres;
let database: TestDatabase;
let client: Client;
beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query('CREATE TABLE things (id int8 PRIMARY KEY, small int2, number int4, data bytea)');
  client = new Client({ connectionString: database.uri, pipeline: true });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await postgres.stop();
});

const COPY = 'copy things (id, small, number, data) from stdin (format binary)';

function things(rows: readonly { readonly id: number; readonly bytes: number }[]): CopyRows {
  const packed = new CopyRows();
  for (const { id, bytes } of rows) {
    packed.row(4, 8 + 2 + 4 + bytes);
    packed.int8(id);
    packed.int2(-id % 100);
    packed.int4(-bytes);
    packed.bytes(Buffer.alloc(bytes, 'x'));
  }
  return packed.seal();
}

async function transaction(...copies: readonly CopyRows[]): Promise<string> {
  const sql = new TransactionSql(client);
  sql.send('begin');
  for (const rows of copies) sql.copy(COPY, rows);
  const [{ command }] = await Promise.all([client.query('commit'), sql.settled()]);
  return command;
}

test('rows of all sizes arrive whole, wherever they cut a message', async () => {
  const sizes = [0, 1, 16_290, 16_384, 262_100, 262_144, 700_000];
  for (let bytes = 16_320; bytes <= 16_384; bytes++) sizes.push(bytes);
  const rows = sizes.map((bytes, index) => ({ id: 2 ** 40 + index, bytes }));
  for (const row of rows) expect(await transaction(things([row]))).toBe('COMMIT');
  const stored = await database.query<{ id: string; whole: boolean }>(
    `SELECT id, small = -(id % 100) AND number = -octet_length(data)
       AND data = convert_to(repeat('x', octet_length(data)), 'UTF8') AS whole
     FROM things ORDER BY id`,
  );
  expect(stored).toEqual(rows.map(({ id }) => ({ id: `${id}`, whole: true })));
  const lengths = await database.query<{ bytes: number }>('SELECT octet_length(data) AS bytes FROM things ORDER BY id');
  expect(lengths.map(({ bytes }) => bytes)).toEqual(sizes);
  await database.query('TRUNCATE things');
  expect(await transaction(things(rows))).toBe('COMMIT');
  expect(await database.query('SELECT FROM things')).toHaveLength(rows.length);
});

test('a copy that fails takes everything sent behind it along, and leaves a connection that can be used', async () => {
  await database.query('TRUNCATE things');
  const many = Array.from({ length: 50 }, (_, index) => ({ id: 10 + index, bytes: 20_000 }));
  const twice = things([{ id: 1, bytes: 3 }, { id: 1, bytes: 3 }, ...many]);
  await expect(transaction(things([{ id: 2, bytes: 3 }]), twice, things(many))).rejects.toMatchObject({
    code: '23505',
  });
  expect(await database.query('SELECT FROM things')).toEqual([]);
  expect(await transaction(things(many))).toBe('COMMIT');
  expect(await database.query('SELECT FROM things')).toHaveLength(many.length);
});
