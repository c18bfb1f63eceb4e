import { silentLogger } from '@sluice/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../../test/kit/postgres.ts';
import { readSchema } from './schema.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

it('reads tables and columns without a slot or a publication', async () => {
  const database = await postgres.createDatabase();
  await database.query(`
    create schema other;
    create domain percent as numeric(5, 2);
    create table lists (id uuid primary key, "N" int, gone int, p percent, tags text[]);
    alter table lists drop column gone;
    create table other."odd ""name" (id int8);
    create view shown as select * from lists`);
  const schema = await readSchema({ uri: database.uri, sslmode: 'disable' }, silentLogger);
  expect(schema.tables).toEqual([
    { schema: 'other', name: 'odd "name', columns: [{ name: 'id', type: 'int8' }] },
    {
      schema: 'public',
      name: 'lists',
      columns: [
        { name: 'id', type: 'uuid' },
        { name: 'N', type: 'int4' },
        { name: 'p', type: 'numeric' },
        { name: 'tags', type: '_text' },
      ],
    },
  ]);
  expect(await database.query('select * from pg_replication_slots')).toEqual([]);
});
