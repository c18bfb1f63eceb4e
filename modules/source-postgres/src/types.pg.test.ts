/** One value, one text: what COPY reads, what the stream sends and what a read by key returns must be equal. */
import type { RawRow } from '@sluice/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

/** Column type and the SQL of its values. */
const VALUES: readonly (readonly [string, ...string[]])[] = [
  ['int2', '-32768', '32767'],
  ['int4', '-2147483648', '2147483647'],
  ['int8', '-9223372036854775808', '9223372036854775807'],
  ['numeric', "'NaN'", "'Infinity'", "'-Infinity'", '1e-20', '12345678901234567890.123456789', '-0.00', '1.50'],
  ['numeric(10,3)', '1.5', '-0.001'],
  ['float4', "'NaN'", "'-Infinity'", '1e-45', '3.4028235e38', '0.1', "'-0'"],
  ['float8', "'NaN'", "'Infinity'", '5e-324', '1.7976931348623157e308', '0.1', '1e21', '123456789012345680', "'-0'"],
  ['money', "'-1234.56'"],
  ['bool', 'true', 'false'],
  [
    'text',
    "''",
    "' '",
    "'\\N'",
    "'\\\\N'",
    "E'\\t\\n\\r\\b\\f\\v\\\\'",
    "E'\\\\.'",
    "E'a\\nb'",
    "'ä€😀'",
    "U&'\\FEFFx\\2028'",
    "E'\\x01\\x7f'",
  ],
  ['varchar(5)', "'abc'"],
  ['char(5)', "'ab'", "'     '"],
  ['"char"', "'x'"],
  ['name', "'n'"],
  ['bytea', "'\\x'", "'\\x00ff5c0a09'", "'\\xdeadbeef'"],
  ['date', "'0044-03-15 BC'", "'infinity'", "'-infinity'", "'5874897-12-31'", "'2024-02-29'"],
  ['time', "'00:00:00'", "'24:00:00'", "'12:34:56.123456'"],
  ['timetz', "'12:34:56.789+05:45'", "'00:00:00-15:59'"],
  ['timestamp', "'infinity'", "'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'2024-01-01 00:00:00.1'"],
  [
    'timestamptz',
    "'-infinity'",
    "'2024-07-01 12:00:00+05:30'",
    "'0001-01-01 00:00:00+00 BC'",
    "'2024-01-01 00:00:00.000001Z'",
  ],
  ['timestamptz(0)', "'2024-01-01 00:00:00.9Z'"],
  ['interval', "'1 year -2 mons +3 days -04:05:06.789'", "'178000000 years'", "'00:00:00.000001'", "'-1 day'"],
  ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"],
  ['json', `'{"a": 12345678901234567890, "a": 1.10, "b": [null]}'`, "'null'", `'"\\u0041"'`],
  ['jsonb', `'{"b": 1.10, "a": 12345678901234567890}'`, "'null'", `'"tab\\t"'`],
  ['xml', "'<a>&amp;</a>'"],
  ['inet', "'192.168.0.1/24'", "'::1'"],
  ['cidr', "'10.0.0.0/8'"],
  ['macaddr', "'08-00-2b-01-02-03'"],
  ['bit(3)', "B'101'"],
  ['varbit', "B''", "B'10101'"],
  ['point', "'(1.1,-0)'"],
  ['box', "'(1,1),(0,0)'"],
  ['path', "'[(0,0),(1,1e-10)]'"],
  ['circle', "'<(0,0),0.1>'"],
  ['int4[]', "'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'[0:1]={7,8}'"],
  ['text[]', `'{a,"b c","",NULL,"NULL","q\\"q","b\\\\\\\\s","{}"}'`, "array[E'tab\\t', E'nl\\n']"],
  ['timestamptz[]', "'{2024-07-01 12:00:00+02,infinity}'"],
  ['float8[]', "'{0.1,NaN,-0}'"],
  ['bytea[]', `'{"\\\\x00ff"}'`],
  ['json[]', `array['{"a":1}'::json, '[1,"x"]']`],
  ['int4range', "'empty'", "'[1,5)'", "'(,)'"],
  ['tstzrange', `'["2024-01-01 00:00:00+02",infinity)'`],
  ['numrange', "'(0.10,1e3]'"],
  ['int4multirange', "'{[1,3),[5,7)}'"],
  ['tsvector', "'a:1A fat:2 ''it''''s'':3'"],
  ['tsquery', "'fat & !rat'"],
  ['oid', '4294967295'],
  ['regclass', "'pg_catalog.pg_class'", "'pg_temp.here'", "'public.here'"],
  ['pg_lsn', "'16/B374D848'"],
  ['mood', "'so so'", "'good'"],
  ['mood[]', `'{"so so",good}'`],
  ['percent', '12.5'],
  ['percent[]', "'{1,2.50}'"],
  ['pair', '\'(1,"a,b")\'', "'(,)'"],
  ['pair[]', `array['(1,"q""q")', '(2,)']::pair[]`],
  ['hstore_like', `'("a""b",{1})'`],
];

const TYPES = `
  create table here (id int);
  create type mood as enum ('good', 'so so');
  create domain percent as numeric(5, 2);
  create type pair as (a int, b text);
  create type hstore_like as (k text, v int[])`;

async function newDatabase(): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  // A hostile environment: every session of ours has to say for itself how values are written.
  await database.query(`alter database ${database.name} set timezone = 'Asia/Kathmandu'`);
  await database.query(`alter database ${database.name} set datestyle = 'German, DMY'`);
  await database.query(`alter database ${database.name} set intervalstyle = 'sql_standard'`);
  await database.query(`alter database ${database.name} set extra_float_digits = -15`);
  await database.query(`alter database ${database.name} set bytea_output = 'escape'`);
  await database.query(`alter database ${database.name} set client_encoding = 'LATIN1'`);
  await database.query(`alter database ${database.name} set search_path = public, pg_catalog`);
  const fresh = await database.connect();
  await fresh.query(`set client_encoding = 'UTF8'; ${TYPES}`);
  const columns = VALUES.map(([type], i) => `c${i} ${type}`);
  await fresh.query(
    `create table t (id int primary key, ${columns.join(', ')}); create publication powersync for all tables`,
  );
  await fresh.end();
  return database;
}

/** Row n holds the nth value of each type, or NULL. */
function inserts(): string {
  const depth = Math.max(...VALUES.map((each) => each.length - 1));
  const rows = Array.from({ length: depth }, (_, n) => {
    const values = VALUES.map(([type, ...sql]) =>
      sql[n] === undefined || sql[n].includes('pg_temp') ? 'null' : `(${sql[n]})::${type}`,
    );
    return `(${[n + 1, ...values].join(', ')})`;
  });
  return `set client_encoding = 'UTF8'; insert into t values ${rows.join(', ')}`;
}

describe('the text of a value', () => {
  it('is the same in a copy, in the stream and in a read by key', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    await source.open(null);
    await database.query(inserts());
    const streamed = (await streamToHead(source)).flatMap((event) => (event.kind === 'insert' ? [event.row] : []));
    const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 't', wildcard: false }]);
    if (table === undefined) throw new Error('the table was not found');
    const copied: RawRow[] = [];
    for (const { range } of (await source.planTable(table.relation)).tasks) {
      const request = {
        relation: table.relation,
        range,
        cursor: null,
        chunkBytes: 10_000,
        signal: AbortSignal.timeout(PATIENCE_MS),
      };
      for await (const chunk of source.readTask(request)) copied.push(...chunk.rows);
    }
    const byKey = await source.readRows(table.relation, table.keyColumns, streamed);
    expect(streamed).toHaveLength(copied.length);
    expect(copied).toEqual(streamed);
    expect([...byKey].sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual(streamed);
    const written = streamed.flat().filter((value) => value !== null).length - streamed.length;
    expect(written).toBe(VALUES.flat().length - VALUES.length - 1);
    await source.close();
  });

  it('does not depend on the settings of the database', async () => {
    const database = await newDatabase();
    const source = sourceOn(database);
    await source.open(null);
    await database.query(inserts());
    const [first] = (await streamToHead(source)).flatMap((event) => (event.kind === 'insert' ? [event.row] : []));
    const of = (type: string) => first?.[VALUES.findIndex(([name]) => name === type) + 1];
    expect(of('timestamptz[]')).toBe('{"2024-07-01 10:00:00+00",infinity}');
    expect(of('interval')).toBe('10 mons 3 days -04:05:06.789');
    expect(of('date')).toBe('0044-03-15 BC');
    expect(of('float8[]')).toBe('{0.1,NaN,-0}');
    expect(of('bytea[]')).toBe('{"\\\\x00ff"}');
    expect(of('uuid')).toBe('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
    expect(of('numeric(10,3)')).toBe('1.500');
    await source.close();
  });
});
