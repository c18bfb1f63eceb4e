/** Names that are anything but identifiers, through every statement that mentions them. */
import type { RawRow } from '@sluice/core';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestPostgres } from '../../../test/kit/postgres.ts';
import { asStreamed, changesOf, sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const NAMES = [
  'plain',
  'Upper Case',
  `qu"o'te`,
  'select',
  'dot.ted',
  'semi;colon--',
  'tab\tnew\nline',
  'back\\slash',
  'percent%_',
  'äöü😀',
  '$1',
  'x'.repeat(63),
];

it.each(NAMES)('%j works as the name of a schema, a table, its columns and the publication', async (name) => {
  const database = await postgres.createDatabase();
  const quoted = pg.escapeIdentifier(name);
  const table = `${quoted}.${quoted}`;
  await database.query(`create schema ${quoted}; create table ${table} (${quoted} text primary key, other text);
    insert into ${table} values ('a', 'b'), ('c', null)`);
  await database.query(`create publication ${quoted} for table ${table}`);
  const source = sourceOn(database, { publicationName: name });
  await source.preflight();
  await source.open(null);
  const [found, ...others] = await source.discover([{ connectionTag: 'default', schema: name, name, wildcard: false }]);
  expect(others).toEqual([]);
  if (found === undefined) throw new Error('the table was not found');
  expect(found).toMatchObject({ problem: null, relation: { schema: name, name }, keyColumns: [0] });
  const rows: RawRow[] = [];
  for (const { range } of (await source.planTable(found.relation)).tasks) {
    const request = {
      relation: found.relation,
      range,
      cursor: null,
      chunkBytes: 1_000,
      signal: AbortSignal.timeout(PATIENCE_MS),
    };
    for await (const chunk of source.readTask(request)) rows.push(...chunk.rows);
  }
  expect(rows).toEqual([
    ['a', 'b'],
    ['c', null],
  ]);
  await database.query(`update ${table} set ${quoted} = 'd' where ${quoted} = 'c'`);
  const [change] = changesOf(await streamToHead(source));
  expect(change).toMatchObject({ row: ['d', null], before: ['c', undefined], relation: asStreamed(found.relation) });
  expect(await source.readRows(found.relation, [0], [['d', undefined]])).toEqual([['d', null]]);
  const byPrefix = { connectionTag: 'default', schema: name, name: name.slice(0, 3), wildcard: true };
  expect(await source.discover([byPrefix])).toHaveLength(1);
  await source.close();
});

it('a table that is not published is named so that the statement can be run as it is', async () => {
  const database = await postgres.createDatabase();
  await database.query(`create publication "p ""q" for all tables; drop publication "p ""q"; create publication "p ""q";
    create table "t ""u" (id int primary key)`);
  const source = sourceOn(database, { publicationName: 'p "q' });
  const selector = { connectionTag: 'default', schema: 'public', name: 't "u', wildcard: false };
  const [found] = await source.discover([selector]);
  const statement = found?.problem?.message.slice(found.problem.message.indexOf('ALTER')) ?? '';
  await database.query(statement);
  expect(await source.discover([selector])).toMatchObject([{ problem: null }]);
  await source.close();
});
