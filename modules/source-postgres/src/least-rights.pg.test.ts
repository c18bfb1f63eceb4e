/** Everything the source does, as a role that may do no more than operating.md asks for. */
import type { RawRow } from '@sluice/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { changesOf, sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';

let postgres: TestPostgres;
let database: TestDatabase;
const role = { username: 'sluice_role', password: 'secret' };

beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query(`create table t (id int primary key, v text); insert into t values (1, 'a'); create table by_columns (like t including all);
    insert into by_columns select * from t; create publication powersync for table t, by_columns;
    create role sluice_role login replication password 'secret'; grant usage on schema public to sluice_role; grant select on t to sluice_role;
    grant select (id, v, ctid, tableoid) on by_columns to sluice_role`);
});
afterAll(() => postgres.stop());

it.each(['t', 'by_columns'])('the whole life of a source needs REPLICATION, and SELECT on table %s', async (name) => {
  const source = sourceOn(database, role);
  await source.preflight();
  const { saved } = await source.open(null);
  await source.settle(AbortSignal.timeout(PATIENCE_MS));
  const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name, wildcard: false }]);
  if (table === undefined) throw new Error('the table was not found');
  expect(table.problem).toBeNull();
  const rows: RawRow[] = [];
  for (const { range } of (await source.planTable(table.relation)).tasks) {
    const request = {
      relation: table.relation,
      range,
      cursor: null,
      chunkBytes: 1_000,
      signal: AbortSignal.timeout(PATIENCE_MS),
    };
    for await (const chunk of source.readTask(request)) rows.push(...chunk.rows);
  }
  expect(rows).toEqual([['1', 'a']]);
  await database.query(`update ${name} set v = 'b'`);
  expect(changesOf(await streamToHead(source))).toMatchObject([{ kind: 'update', row: ['1', 'b'] }]);
  expect(await source.readRows(table.relation, [0], [['1', undefined]])).toEqual([['1', 'b']]);
  expect(await source.health()).toMatchObject({ status: 'reserved', active: false });
  await source.open(saved);
  await source.teardown(saved);
  await source.close();
});

it('what the role may not see is not taken for an answer', async () => {
  const writer = await database.connect();
  await writer.query("begin; insert into t values (2, 'open')");
  const source = sourceOn(database, { ...role, slotTimeoutMs: 400 });
  const message = expect.stringMatching(/pid \d+ of user postgres \(GRANT pg_monitor/);
  await expect(source.open(null)).rejects.toMatchObject({ code: 'SLU_S1149', message });
  await expect(source.settle(AbortSignal.timeout(400))).rejects.toMatchObject({ name: 'TimeoutError' });
  await writer.query('rollback');
  await writer.end();
  await source.close();
});

it('a right that is taken away while rows are read is named', async () => {
  const source = sourceOn(database, role);
  const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 't', wildcard: false }]);
  if (table === undefined) throw new Error('the table was not found');
  const {
    tasks: [task],
  } = await source.planTable(table.relation);
  await database.query('revoke select on t from sluice_role');
  const request = { relation: table.relation, range: task?.range ?? null, cursor: null, chunkBytes: 1_000 };
  const reading = source.readTask({ ...request, signal: AbortSignal.timeout(PATIENCE_MS) })[Symbol.asyncIterator]();
  await expect(reading.next()).rejects.toMatchObject({
    code: 'SLU_S1125',
    hint: expect.stringContaining('GRANT SELECT'),
  });
  await source.close();
});
