/**
 * What the language's specification says of its named cases that are not among the measured ones we have: which buckets
 * rows are in, and which a request has.
 */
import type { SyncRequest } from '@sluice/sync-rules';
import { expect, test } from 'vitest';
import { bucketNames, evaluate, rulesOf, type TestRow } from '../../packages/sync-rules/src/streams/test-kit.ts';

interface NamedCase {
  readonly yaml: string;
  readonly rows?: readonly TestRow[];
  readonly request?: Partial<SyncRequest>;
  /** `bucket json`, or `bucket id` for rows whose JSON is not the point. */
  readonly data?: readonly string[];
  readonly buckets?: readonly string[];
  readonly errors?: number;
  readonly prefix?: string;
}

const row = (table: string, values: TestRow['row']): TestRow => ({ table, row: values });

function bucket(data: string, parameters?: string | readonly string[], config: object = { edition: 1 }): string {
  return JSON.stringify({
    config,
    bucket_definitions: { d: { ...(parameters === undefined ? {} : { parameters }), data: [data] } },
  });
}

function stream(query: string | readonly string[], more: object = { auto_subscribe: true }, edition = 3): string {
  const own = typeof query === 'string' ? { query } : { queries: query };
  return JSON.stringify({ config: { edition }, streams: { s: { ...own, ...more } } });
}

const subscribe = (...parameters: readonly (Record<string, unknown> | null)[]): Partial<SyncRequest> => ({
  subscriptions: parameters.map((each) => ({ stream: 's', parameters: each, overridePriority: null })),
});
const token = (claims: Record<string, unknown>): Partial<SyncRequest> => ({ token: { sub: 'ann', ...claims } });

const MINE = 'SELECT * FROM t WHERE owner = bucket.u';
const USER = 'SELECT request.user_id() AS u';

const CASES: Readonly<Record<string, NamedCase>> = {
  'bd-02': {
    yaml: bucket('SELECT id FROM t WHERE owner = bucket.u', USER),
    rows: [row('t', { id: 'a', owner: 42n }), row('t', { id: 'b', owner: null })],
    data: ['d[42] {"id":"a"}'],
    buckets: ['d["ann"]'],
  },
  'bd-05': {
    yaml: bucket(MINE, 'SELECT id AS u FROM m WHERE keeper = request.user_id() AND active = 1'),
    rows: [
      row('m', { id: 'x', keeper: 'ann', active: 1n }),
      row('m', { id: 'y', keeper: 'ann', active: 0n }),
      row('m', { id: 'z', keeper: null, active: 1n }),
    ],
    buckets: ['d["x"]'],
  },
  'bd-08': {
    yaml: bucket(
      'SELECT id FROM t WHERE a = bucket.u AND b = bucket.z',
      "SELECT id AS u, request.jwt() ->> 'z' AS z FROM m WHERE o = request.user_id()",
    ),
    rows: [row('m', { id: 'sh1', o: 'ann' })],
    request: token({ z: 'N' }),
    buckets: ['d["sh1","N"]'],
  },
  'bd-11': {
    yaml: bucket(MINE, "SELECT id AS u FROM m WHERE g IN request.jwt() -> 'gs'"),
    rows: [row('m', { id: 'x', g: 'a' })],
    buckets: [],
  },
  'bd-14': {
    yaml: bucket('SELECT id FROM t WHERE a = bucket.u OR b = bucket.u', USER),
    rows: [row('t', { id: 'x', a: 'ann', b: 'bob' })],
    data: ['d["ann"] {"id":"x"}', 'd["bob"] {"id":"x"}'],
  },
  'bd-17': { yaml: bucket(MINE, "SELECT value AS u FROM json_each(request.jwt() -> 'none')"), buckets: [] },
  'bd-20': {
    yaml: bucket('SELECT *, _table_suffix AS s FROM "log_%"'),
    rows: [row('log_a', { id: 'x', _h: 1n }), row('log', { id: 'y' })],
    data: ['d[] {"id":"x","s":"a"}'],
  },
  'bd-29': { yaml: bucket(MINE, "SELECT request.jwt() ->> 'none' AS u"), buckets: ['d[null]'] },
  'bd-32': {
    yaml: bucket('SELECT id FROM t WHERE n = bucket.u', USER),
    rows: [5n, 5, 5.25, 9007199254740993n, 'a"\n', new Uint8Array([1])].map((n, id) => row('t', { id: BigInt(id), n })),
    data: [
      'd[5] {"id":0}',
      'd[5] {"id":1}',
      'd[5.25] {"id":2}',
      'd[9007199254740993] {"id":3}',
      'd["a\\"\\n"] {"id":4}',
    ],
  },
  'bd-53': {
    yaml: bucket(MINE, [USER, 'SELECT id AS u FROM m WHERE o = request.user_id()']),
    rows: [row('m', { id: 'x', o: 'ann' })],
    buckets: ['d["ann"]', 'd["x"]'],
  },
  'bd-56': {
    yaml: bucket(MINE, USER, { edition: 2 }),
    prefix: '12#',
    rows: [row('t', { id: 'x', owner: 'ann' })],
    data: ['12#d["ann"] x'],
  },
  'bd-59': { yaml: bucket('SELECT id FROM "tenant_%".t'), rows: [row('t', { id: 'x' })], data: [] },
  'xb-05': {
    yaml: JSON.stringify({
      bucket_definitions: { d: { data: ["SELECT id, json_extract(j, '$.a') AS a FROM t", 'SELECT id FROM t'] } },
    }),
    rows: [row('t', { id: 'x', j: '{bad' })],
    data: ['d[] {"id":"x"}'],
    errors: 1,
  },
  'xb-12': {
    yaml: bucket(MINE, "SELECT id AS u FROM m WHERE upper(o) = upper(request.user_id() || '!')"),
    rows: [row('m', { id: 'x', o: 'Ann!' })],
    buckets: ['d["x"]'],
  },
  'vf-12': {
    yaml: bucket("SELECT id FROM t WHERE 'k' = bucket.u", USER),
    rows: [row('t', { id: 'x' })],
    data: ['d["k"] {"id":"x"}'],
  },
  'vf-15': {
    yaml: bucket('SELECT id FROM t WHERE bucket.u', USER),
    rows: [row('t', { id: 'x' })],
    data: ['d[1] {"id":"x"}'],
  },
  'vf-04': {
    yaml: stream("SELECT id, CASE WHEN j = 'no' THEN 0 ELSE json_array_length(j) END AS n FROM t"),
    rows: [row('t', { id: 'x', j: 'no' })],
    data: ['s|0[] {"id":"x","n":0}'],
  },
  'ty-08': {
    yaml: bucket("SELECT id, j ->> 'a.b' AS v FROM t", undefined, { edition: 2, fixed_json_extract: false }),
    rows: [row('t', { id: 'x', j: '{"a":{"b":1}}' })],
    data: ['d[] {"id":"x","v":1}'],
  },
  'ty-11': {
    yaml: bucket('SELECT id FROM t'),
    rows: [true, null, 2, 1.5].map((id) => row('t', { id })),
    data: ['d[] 1', 'd[] ', 'd[] 2', 'd[] 1.5'],
  },
  'al-02': {
    yaml: stream('SELECT id FROM t WHERE a = auth.user_id() OR b = auth.user_id()', { auto_subscribe: true }, 2),
    rows: [row('t', { id: 'x', a: 'ann', b: 'ann' })],
    data: ['s|0["ann"] x', 's|1["ann"] x'],
    buckets: ['s|0["ann"]', 's|1["ann"]'],
  },
  'al-08': {
    yaml: stream("SELECT id FROM t WHERE a = auth.parameter('none')", { auto_subscribe: true }, 2),
    buckets: ['s|0[null]'],
  },
  'st-02': { yaml: stream('SELECT id FROM t', {}), buckets: [] },
  'st-05': {
    yaml: stream("SELECT id FROM t WHERE slug = subscription.parameter('slug') AND owner = auth.user_id()", {}),
    request: subscribe({ slug: 'home' }, { slug: null }, null, { slug: 'b' }),
    buckets: ['s|0["ann","b"]', 's|0["ann","home"]'],
  },
  'st-08': {
    yaml: stream("SELECT id FROM t WHERE a = auth.parameter('org.code') AND b = auth.parameter('$.org.code')"),
    request: token({ 'org.code': 'flat', org: { code: 'path' } }),
    buckets: ['s|0["flat","path"]'],
  },
  'st-11': {
    yaml: stream(
      'SELECT id FROM leaves WHERE tree IN (SELECT id FROM trees WHERE orchard IN (SELECT id FROM orchards WHERE o = auth.user_id()))',
    ),
    rows: [
      row('orchards', { id: 'o1', o: 'ann' }),
      row('trees', { id: 't1', orchard: 'o1' }),
      row('trees', { id: 't2', orchard: 'o1' }),
    ],
    buckets: ['s|0["t1"]', 's|0["t2"]'],
  },
  'st-14': {
    yaml: stream("SELECT id FROM t WHERE public = 1 OR auth.parameter('admin')"),
    rows: [row('t', { id: 'x', public: 1n })],
    request: token({ admin: true }),
    data: ['s|0[] x', 's|1[] x'],
    buckets: ['s|0[]', 's|1[]'],
  },
  'st-17': {
    yaml: stream('SELECT id FROM t WHERE auth.user_id() IN (SELECT u FROM admins)'),
    rows: [row('admins', { id: 'a', u: 'bob' })],
    buckets: [],
  },
  'st-20': {
    yaml: stream("SELECT id FROM t WHERE tags && auth.parameter('tags')"),
    request: token({ tags: ['a', 'b'] }),
    rows: [row('t', { id: 'x', tags: '["b","c"]' })],
    data: ['s|0["b"] x', 's|0["c"] x'],
    buckets: ['s|0["a"]', 's|0["b"]'],
  },
  'st-23': {
    yaml: stream([
      'SELECT id FROM t WHERE a = auth.user_id()',
      'SELECT id FROM u WHERE a = auth.user_id()',
      "SELECT id FROM v WHERE a = auth.parameter('k')",
    ]),
    request: token({ k: 1 }),
    buckets: ['s|0["ann"]', 's|2[1]'],
  },
  'st-26': {
    yaml: stream("SELECT id FROM t WHERE a IN auth.parameter('x') AND a IN auth.parameter('y')"),
    request: token({ x: ['p', 'q'], y: ['q', 'r'] }),
    buckets: ['s|0["q"]'],
  },
  'st-29': {
    yaml: stream('SELECT id FROM t WHERE lower(a) = auth.user_id()'),
    rows: [row('t', { id: 'x', a: 'ANN' })],
    data: ['s|0["ann"] x'],
  },
  'st-32': { yaml: stream('SELECT id FROM t'), request: { includeDefaults: false }, buckets: [] },
  'st-41': {
    yaml: stream("SELECT id FROM t WHERE a NOT IN '[1,2]'"),
    rows: [row('t', { id: 'x', a: 1n }), row('t', { id: 'y', a: 3n }), row('t', { id: 'z', a: null })],
    data: ['s|0[] y', 's|0[] z'],
  },
  'st-68': {
    yaml: stream('SELECT a.id FROM t AS a JOIN t AS b ON a.parent = b.id WHERE b.owner = auth.user_id()'),
    rows: [row('t', { id: 'p', owner: 'ann', parent: null }), row('t', { id: 'c', owner: 'x', parent: 'p' })],
    data: ['s|0["p"] c'],
    buckets: ['s|0["p"]'],
  },
  'st-71': {
    yaml: stream('SELECT id FROM t WHERE n IN (SELECT k FROM m WHERE u = auth.user_id())'),
    rows: [row('m', { id: 'a', k: 3, u: 'ann' }), row('t', { id: 'x', n: 3n })],
    data: ['s|0[3] x'],
    buckets: ['s|0[3]'],
  },
  'st-74': { yaml: stream('SELECT id FROM t'), prefix: '3#', rows: [row('t', { id: 'x' })], data: ['3#s|0[] x'] },
  'xs-01': {
    yaml: stream("SELECT id FROM t WHERE a = auth.user_id() AND auth.parameter('role') = 'x'"),
    request: token({ role: 'y' }),
    buckets: [],
  },
  'xs-10': {
    yaml: stream("SELECT id FROM t WHERE a = auth.user_id() OR b = subscription.parameter('b')"),
    request: subscribe({ b: null }),
    buckets: ['s|0["ann"]'],
  },
  'xs-19': {
    yaml: stream(
      'SELECT id FROM t WHERE a IN (SELECT x FROM m WHERE u = auth.user_id()) AND a IN (SELECT x FROM n WHERE u = auth.user_id())',
    ),
    rows: [
      row('m', { id: '1', x: 'p', u: 'ann' }),
      row('m', { id: '2', x: 'q', u: 'ann' }),
      row('n', { id: '1', x: 'q', u: 'ann' }),
    ],
    buckets: ['s|0["q"]'],
  },
  'xs-22': {
    yaml: stream('SELECT t.id FROM t JOIN m ON t.a = m.x AND t.b = m.y WHERE m.u = auth.user_id()'),
    rows: [row('m', { id: '1', x: 'N1', y: 'R1', u: 'ann' }), row('m', { id: '2', x: 'N2', y: 'R2', u: 'ann' })],
    buckets: ['s|0["N1","R1"]', 's|0["N2","R2"]'],
  },
  'xs-25': {
    yaml: stream('SELECT t.id FROM t, m WHERE m.u = auth.user_id() AND m.ok = 1'),
    rows: [row('m', { id: '1', u: 'ann', ok: 0n })],
    buckets: [],
  },
  'xs-37': {
    yaml: stream('SELECT id FROM t WHERE a IN (SELECT x FROM m WHERE u = auth.user_id())'),
    rows: [
      row('m', { id: '1', x: null, u: 'ann' }),
      row('m', { id: '2', x: new Uint8Array([1]), u: 'ann' }),
      row('m', { id: '3', x: 'y', u: null }),
    ],
    buckets: [],
  },
};

test.each(Object.entries(CASES))('%s', async (_, { yaml, rows = [], request = {}, prefix = '', ...wanted }) => {
  const { data, errors } = evaluate(rulesOf(yaml, prefix), rows);
  expect(errors).toHaveLength(wanted.errors ?? 0);
  if (wanted.data !== undefined) {
    const hasJson = wanted.data.some((each) => each.includes(' {'));
    expect(data.map(({ bucket: name, id, json }) => `${name} ${hasJson ? json : id}`)).toEqual(wanted.data);
  }
  if (wanted.buckets !== undefined) expect(await bucketNames(yaml, rows, request)).toEqual(wanted.buckets);
});
