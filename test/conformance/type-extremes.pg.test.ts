/**
 * Values at the edges of their types, from a real Postgres to the JSON that clients get: the same through the copy and
 * through the stream, and as written in test/corpus/types/postgres.json, with the compatibility options off and on.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RawRow, Relation } from '@sluice/core';
import { parseSyncRules } from '@sluice/sync-rules';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { sourceOn, streamToHead } from '../kit/postgres-source.ts';

/** `off` and `on`: the JSON text, null where the value is left out; without `on`, both are the same. */
interface Extreme {
  readonly type: string;
  readonly sql: string;
  readonly off: string | null;
  readonly on?: string | null;
}

const path = join(import.meta.dirname, '../corpus/types/postgres.json');
const extremes = JSON.parse(readFileSync(path, 'utf8')) as readonly Extreme[];

const TYPES = `
  create type mood as enum ('good', 'so so');
  create domain percent as numeric(5, 2);
  create domain whole as int4;
  create domain half as whole check (value > 0);
  create type pair as (a int, b text);
  create type hstore_like as (k text, v int[]);
  create type nested as (p pair, ps pair[], r int4range, f bool);
  create type stamped as (at timestamp, ok bool, cost float8);
  create type floatrange as range (subtype = float8)`;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

/** One table of one row for each value: a type that cannot be written must not hide the others. */
async function rowsOf(): Promise<{ relation: Relation; copied: RawRow; streamed: RawRow }> {
  const database = await postgres.createDatabase();
  await database.query(TYPES);
  const columns = extremes.map(({ type }, index) => `c${index} ${type}`);
  await database.query(`create table t (id int primary key, ${columns.join(', ')})`);
  await database.query('create publication powersync for all tables');
  const source = sourceOn(database);
  await source.open(null);
  const values = extremes.map(({ type, sql }) => `(${sql})::${type}`);
  await database.query(`insert into t values (1, ${values.join(', ')})`);
  const [streamed] = (await streamToHead(source)).flatMap((event) => (event.kind === 'insert' ? [event.row] : []));
  const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 't', wildcard: false }]);
  if (table === undefined || streamed === undefined) throw new Error('the table or its row was not found');
  const { relation } = table;
  const copied: RawRow[] = [];
  for (const { range } of (await source.planTable(relation)).tasks) {
    const signal = AbortSignal.timeout(10_000);
    for await (const { rows } of source.readTask({ relation, range, cursor: null, chunkBytes: 10_000, signal })) {
      copied.push(...rows);
    }
  }
  await source.close();
  const [only, ...others] = copied;
  if (only === undefined || others.length > 0) throw new Error('the copy has another number of rows');
  return { relation, copied: only, streamed };
}

/** The JSON of each column, in the order of the columns. */
function evaluated(relation: Relation, row: RawRow, edition: 1 | 2): readonly (string | null)[] {
  const yaml = `config: { edition: ${edition} }\nbucket_definitions:\n  g: { data: [SELECT * FROM t] }\n`;
  const evaluator = parseSyncRules(yaml, { defaultSchema: 'public' }).rules?.compileTable(relation);
  let synced = '';
  evaluator?.evaluate(row, {
    data: (_bucket, _type, _id, json) => {
      synced = json;
    },
    lookup: () => undefined,
    error: (_definition, message) => expect.fail(message),
  });
  // Splitting the text, since JSON.parse would lose what is to be compared: digits, and `.0`.
  const names = extremes.map((_, index) => `"c${index}":`);
  const starts = names.map((name) => synced.search(new RegExp(`[{,]${name}`)));
  return starts.map((start, index) => {
    if (start < 0) return null;
    const next = starts.slice(index + 1).find((each) => each >= 0) ?? synced.length - 1;
    return synced.slice(start + 1 + (names[index] ?? '').length, next);
  });
}

it(`${extremes.length} values are what they are written to be`, async () => {
  const { relation, copied, streamed } = await rowsOf();
  expect(copied).toEqual(streamed);
  const [off, on] = [evaluated(relation, streamed, 1), evaluated(relation, streamed, 2)];
  const found = extremes.map(({ type, sql }, index): Extreme => {
    const [before = null, after = null] = [off[index], on[index]];
    return { type, sql, off: before, ...(before === after ? {} : { on: after }) };
  });
  if (process.env['UPDATE'] === '1')
    writeFileSync(path, `[\n${found.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]\n`);
  else expect(found).toEqual(extremes);
  expect(extremes.length).toBeGreaterThanOrEqual(200);
});
