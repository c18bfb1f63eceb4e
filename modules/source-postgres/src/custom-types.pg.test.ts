/** Types that users define, from the catalogue to the text that clients get: copied, streamed, with and without the option. */
import type { RawRow, Relation, StreamEvent } from '@sluice/core';
import type { ChangeSource, DiscoveredTable } from '@sluice/replication';
import { parseSyncRules } from '@sluice/sync-rules';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { asStreamed, changesOf, sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const TYPES = `
  create schema other;
  create domain price as int4;
  create domain strict_price as price check (value > 0);
  create domain label as text;
  create domain flag as bool;
  create domain blob as bytea;
  create domain tags as text[];
  create domain prices as price[];
  create domain other.int4 as text;
  create type other.date as enum ('never', 'so so, "x"');
  create type mood as enum ('good', 'so so');
  create type pair as (a int, "b ""q""" text, c bool);
  create type tree as (
    name label, pair pair, pairs pair[], words text[], cost price, costs strict_price[], span int4range, at timestamptz,
    doc jsonb, bytes bytea, mood mood, amount numeric, own other.int4);
  create domain own_pair as pair;
  create type one as (v text);
  create type nothing as (a int, b int);
  alter type nothing drop attribute a;
  create type floats as range (subtype = float8, multirange_type_name = many_floats);
  create type costs as range (subtype = price, multirange_type_name = many_costs);
  create domain own_span as int4range;
  create table other.shape (id int, gone text, mood mood);
  alter table other.shape drop gone;`;

const PAIR = { sql: `'(1,"a,b ""c"" (d) \\\\",t)'`, off: `(1,"a,b ""c"" (d) \\\\",t)` };
const PAIR_JSON = '{"a":1,"b \\"q\\"":"a,b \\"c\\" (d) \\\\","c":1}';
const SPAN_JSON = '{"lower":1,"upper":5,"lower_exclusive":0,"upper_exclusive":1}';
const COST_JSON = '{"lower":1,"upper":null,"lower_exclusive":0,"upper_exclusive":1}';
const HALF_JSON = '{"lower":1.5,"upper":2.0,"lower_exclusive":1,"upper_exclusive":0}';

/** Column type, SQL of its value, the value without (empty: the text as sent) and with the option. */
const CASES: readonly (readonly [type: string, sql: string, off: string | number, on: string | number | undefined])[] =
  [
    ['price', '5', '5', 5],
    ['strict_price', '7', '7', 7],
    ['label', `'a "b"'`, 'a "b"', 'a "b"'],
    ['flag', 'true', 't', 1],
    ['blob', "'\\x00ff'", '\\x00ff', undefined],
    ['other.int4', "'no number'", 'no number', 'no number'],
    ['tags', `'{a,"b c",NULL}'`, '{a,"b c",NULL}', '["a","b c",null]'],
    ['prices', "'{1,NULL}'", '{1,NULL}', '[1,null]'],
    ['price[]', "'{{1,2},{3,4}}'", '{{1,2},{3,4}}', '[[1,2],[3,4]]'],
    ['strict_price[]', "'[0:1]={1,2}'", '[0:1]={1,2}', '[1,2]'],
    ['label[]', `'{"a \\"b\\"",NULL,"NULL"}'`, '{"a \\"b\\"",NULL,"NULL"}', '["a \\"b\\"",null,"NULL"]'],
    ['tags[]', "array['{a,b}', '{}']::tags[]", '{"{a,b}","{}"}', '[["a","b"],[]]'],
    ['other.int4[]', "'{x}'", '{x}', '["x"]'],
    ['mood', "'so so'", 'so so', 'so so'],
    ['mood[]', `'{good,"so so",NULL}'`, '{good,"so so",NULL}', '["good","so so",null]'],
    ['other.date', "'never'", 'never', 'never'],
    ['other.date[]', `array['so so, "x"']::other.date[]`, '{"so so, \\"x\\""}', '["so so, \\"x\\""]'],
    ['pair', PAIR.sql, PAIR.off, PAIR_JSON],
    ['pair', "'(,,)'", '(,,)', '{"a":null,"b \\"q\\"":null,"c":null}'],
    ['pair', `row(null, '', false)`, '(,"",f)', '{"a":null,"b \\"q\\"":"","c":0}'],
    ['own_pair', PAIR.sql, PAIR.off, PAIR_JSON],
    ['pair[]', `array[${PAIR.sql}, null]::pair[]`, '', `[${PAIR_JSON},null]`],
    ['own_pair[]', `array[${PAIR.sql}]::own_pair[]`, '', `[${PAIR_JSON}]`],
    ['one', `row('x')`, '(x)', '{"v":"x"}'],
    ['one', 'row(null::text)', '()', '{"v":null}'],
    ['nothing', 'row(3)', '(3)', '{"b":3}'],
    [
      'tree',
      `row('l, "l"', ${PAIR.sql}, array[${PAIR.sql}, null]::pair[], '{a,"b, c",NULL}', 5, '{1,2}', '[1,5)',
       '2024-07-01 12:00:00.5+02', '{"k": [1, "ü"]}', '\\x00ff', 'so so', 1.50, '7')`,
      '',
      `{"name":"l, \\"l\\"","pair":${PAIR_JSON},"pairs":[${PAIR_JSON},null],"words":["a","b, c",null],"cost":5,` +
        `"costs":[1,2],"span":${SPAN_JSON},"at":"2024-07-01T10:00:00.500000Z","doc":{"k": [1, "ü"]},"bytes":null,` +
        '"mood":"so so","amount":"1.50","own":"7"}',
    ],
    ['tree[]', 'array[null]::tree[]', '{NULL}', '[null]'],
    ['other.shape', `row(1, 'good')`, '(1,good)', '{"id":1,"mood":"good"}'],
    ['int4range', "'[1,5)'", '[1,5)', SPAN_JSON],
    ['own_span', "'empty'", 'empty', 'empty'],
    ['own_span', "'[1,5)'", '[1,5)', SPAN_JSON],
    ['int4range[]', `'{"[1,5)",empty}'`, '{"[1,5)",empty}', `[${SPAN_JSON},"empty"]`],
    ['own_span[]', `'{"[1,5)"}'`, '{"[1,5)"}', `[${SPAN_JSON}]`],
    ['int4multirange', "'{[1,5)}'", '{[1,5)}', `[${SPAN_JSON}]`],
    ['int4multirange[]', `'{"{[1,5)}","{}"}'`, '{"{[1,5)}","{}"}', `[[${SPAN_JSON}],[]]`],
    ['floats', "'(1.5,2]'", '(1.5,2]', HALF_JSON],
    ['floats[]', `'{"(1.5,2]"}'`, '{"(1.5,2]"}', `[${HALF_JSON}]`],
    ['many_floats', "'{(1.5,2]}'", '{(1.5,2]}', `[${HALF_JSON}]`],
    ['many_floats[]', `'{"{(1.5,2]}"}'`, '{"{(1.5,2]}"}', `[[${HALF_JSON}]]`],
    ['costs', "'[1,)'", '[1,)', COST_JSON],
    ['many_costs', "'{[1,)}'", '{[1,)}', `[${COST_JSON}]`],
    ['information_schema.cardinal_number', '3', '3', 3],
    ['int2vector', "'1 2'", '1 2', '1 2'],
    ['int2vector[]', `'{"1 2"}'`, '{"1 2"}', '["1 2"]'],
    ['int4[]', "'{1,2}'", '[1,2]', '[1,2]'],
    ['int4', '1', 1, 1],
  ];

async function newDatabase(sql: string): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  await database.query(`${sql}; create publication powersync for all tables`);
  return database;
}

async function discover(source: ChangeSource): Promise<DiscoveredTable> {
  const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 't', wildcard: false }]);
  if (table === undefined) throw new Error('the table was not found');
  return table;
}

async function copy(source: ChangeSource, relation: Relation): Promise<readonly RawRow[]> {
  const rows: RawRow[] = [];
  for (const { range } of (await source.planTable(relation)).tasks) {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    for await (const chunk of source.readTask({ relation, range, cursor: null, chunkBytes: 10_000, signal }))
      rows.push(...chunk.rows);
  }
  return rows;
}

interface SentRow {
  readonly relation: Relation;
  readonly row: RawRow;
}

const insertsOf = (events: readonly StreamEvent[]): readonly SentRow[] =>
  changesOf(events).flatMap((change) => (change.kind === 'insert' ? [change] : []));

/** JSON text of the synced object. @throws if the row could not be evaluated */
function evaluated({ relation, row }: SentRow, custom: boolean): string {
  const yaml = `config: {edition: 2, custom_postgres_types: ${custom}}
bucket_definitions:
  all:
    data:
      - SELECT CAST(id AS text) AS id, * FROM t
`;
  const { rules } = parseSyncRules(yaml, { defaultSchema: 'public' });
  const texts: string[] = [];
  rules?.compileTable(relation)?.evaluate(row, {
    data: (_bucket, _type, _id, json) => texts.push(json),
    lookup: () => undefined,
    error: (_definition, message) => {
      throw new Error(message);
    },
  });
  expect(texts).toHaveLength(1);
  return texts.join();
}

function valuesOf(text: string): Record<string, unknown> {
  const { id: _, ...values } = JSON.parse(text) as Record<string, unknown>;
  return values;
}

const byName = (values: readonly unknown[]) =>
  JSON.parse(JSON.stringify(Object.fromEntries(values.map((value, i) => [`c${i}`, value]))));

describe('user-defined types', () => {
  it('are text without the option and decoded with it, copied and streamed alike', async () => {
    const columns = CASES.map(([type], i) => `c${i} ${type}`);
    const database = await newDatabase(`${TYPES} create table t (id int primary key, ${columns.join(', ')})`);
    const source = sourceOn(database);
    await source.open(null);
    await database.query(`insert into t values (1, ${CASES.map(([type, sql]) => `(${sql})::${type}`).join(', ')})`);
    const [streamed] = insertsOf(await streamToHead(source));
    const { relation } = await discover(source);
    const [row] = await copy(source, relation);
    if (streamed === undefined || row === undefined) throw new Error('the row did not come');
    expect(streamed.relation).toEqual(asStreamed(relation));
    expect(streamed.row).toEqual(row);
    // What is stored with the table comes back the same.
    expect(JSON.parse(JSON.stringify(relation))).toEqual(relation);

    const off = evaluated({ relation, row }, false);
    const on = evaluated({ relation, row }, true);
    expect(valuesOf(off)).toEqual(byName(CASES.map(([, , text], i) => (text === '' ? row[i + 1] : text))));
    expect(valuesOf(on)).toEqual(byName(CASES.map(([, , , value]) => value)));
    expect(evaluated(streamed, false)).toBe(off);
    expect(evaluated(streamed, true)).toBe(on);
    await source.close();
  });

  it('that are altered while the stream runs are told as they are by the next description', async () => {
    const database = await newDatabase(`create type pair as (a int, b text); create type mood as enum ('good');
      create domain price as int4; create table t (id int primary key, c0 pair, c1 mood, c2 price, c3 pair[])`);
    const source = sourceOn(database);
    await source.open(null);
    const before = await discover(source);
    const stop = new AbortController();
    const stream = source.stream(stop.signal);
    const sent: SentRow[] = [];
    const follow = (async () => {
      for await (const batch of stream) sent.push(...insertsOf(batch));
    })();
    const arrived = (count: number) => expect.poll(() => sent.length, { timeout: PATIENCE_MS }).toBe(count);
    await database.query("insert into t values (1, '(1,x)', 'good', 5, '{}')");
    await arrived(1);
    await database.query(`alter type pair add attribute d int; alter type mood add value 'bad';
      alter domain price add check (value < 100)`);
    await database.query(`insert into t values (2, '(1,x,2)', 'bad', 6, array['(,,3)']::pair[])`);
    await arrived(2);
    await database.query(`alter table t add c4 text; insert into t values (3, '(1,x,2)', 'bad', 6, '{}', 'new')`);
    await arrived(3);
    stop.abort();
    await follow;
    const [first, second, third] = sent as [SentRow, SentRow, SentRow];
    expect(first.relation).toEqual(asStreamed(before.relation));
    expect(valuesOf(evaluated(first, true))).toEqual({ c0: '{"a":1,"b":"x"}', c1: 'good', c2: 5, c3: '[]' });
    // Nothing tells the stream: what does not fit the description is text.
    expect(second.relation).toBe(first.relation);
    expect(valuesOf(evaluated(second, true))).toEqual({ c0: '(1,x,2)', c1: 'bad', c2: 6, c3: '["(,,3)"]' });
    expect(valuesOf(evaluated(second, false))).toEqual({ c0: '(1,x,2)', c1: 'bad', c2: '6', c3: '{"(,,3)"}' });
    const now = { c0: '{"a":1,"b":"x","d":2}', c1: 'bad', c2: 6, c3: '[]', c4: 'new' };
    expect(valuesOf(evaluated(third, true))).toEqual(now);

    const after = await discover(source);
    expect(asStreamed(after.relation)).toEqual(third.relation);
    const rows = await copy(source, after.relation);
    expect(rows).toHaveLength(3);
    expect(rows.map((row) => valuesOf(evaluated({ relation: after.relation, row }, true)))).toEqual([
      { c0: '{"a":1,"b":"x","d":null}', c1: 'good', c2: 5, c3: '[]', c4: null },
      { c0: '{"a":1,"b":"x","d":2}', c1: 'bad', c2: 6, c3: '[{"a":null,"b":null,"d":3}]', c4: null },
      now,
    ]);
    // The stream from its beginning: rows of long ago, descriptions of now.
    const again = insertsOf(await streamToHead(source));
    expect(again.map(({ row }) => row.length)).toEqual([5, 5, 6]);
    for (const old of again) evaluated(old, true);
    await source.close();
  });

  it('that are gone by the time they are looked up are text', async () => {
    const database = await newDatabase(
      'create type pair as (a int, b text); create table t (id int primary key, c0 pair, c1 pair[])',
    );
    const source = sourceOn(database);
    await source.open(null);
    await database.query(`insert into t values (1, '(1,x)', '{"(1,x)"}'); drop type pair cascade`);
    const [sent] = insertsOf(await streamToHead(source));
    expect(sent?.relation.columns.map(({ type }) => type)).toEqual(['int4', 'text', 'text']);
    if (sent !== undefined) {
      expect(valuesOf(evaluated(sent, true))).toEqual({ c0: '(1,x)', c1: '{"(1,x)"}' });
    }
    await source.close();
  });

  it('nested deeper than anyone means are text below a depth', async () => {
    const depth = 14;
    const types = Array.from(
      { length: depth },
      (_, i) => `create type l${i + 1} as (v ${i === 0 ? 'int' : `l${i}`}, w int);`,
    );
    const database = await newDatabase(`${types.join('')} create table t (id int primary key, c0 l${depth})`);
    const source = sourceOn(database);
    const { relation } = await discover(source);
    const value = Array.from({ length: depth }).reduce<string>((inner) => `row(${inner}, 1)`, '0');
    await database.query(`insert into t values (1, ${value})`);
    const [row] = await copy(source, relation);
    const { c0 } = valuesOf(evaluated({ relation, row: row ?? [] }, true));
    const levels: unknown[] = [];
    for (let at: unknown = JSON.parse(String(c0)); typeof at === 'object' && at !== null; at = Object.values(at)[0])
      levels.push(at);
    expect(levels).toHaveLength(10);
    expect(levels.at(-1)).toMatchObject({ w: 1, v: expect.stringMatching(/^\(.*,1\)$/) });
    await source.close();
  });
});
