import type { RawValue } from '@sluice/core';
import { describe, expect, test } from 'vitest';
import { cpuTimed } from '../test-cpu-time.ts';
import type { RowSink, SyncRules } from '../api.ts';
import { parseSyncRules } from '../parse.ts';

function problems(yaml: string): string[] {
  return parseSyncRules(yaml, { defaultSchema: 'public' }).diagnostics.map(({ code, text }) => `${code}: ${text}`);
}

function rulesOf(yaml: string, bucketPrefix = ''): SyncRules {
  const { rules, diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public', bucketPrefix });
  if (rules === null) throw new Error(JSON.stringify(diagnostics));
  return rules;
}

interface Evaluated {
  readonly data: string[];
  readonly lookups: Map<string, string[]>;
  readonly errors: string[];
}

/** A table of text columns; rows by column name. */
function evaluate(rules: SyncRules, name: string, rows: readonly Readonly<Record<string, RawValue>>[]): Evaluated {
  const found: Evaluated = { data: [], lookups: new Map(), errors: [] };
  const sink: RowSink = {
    data: (bucket, type, id, json) => found.data.push(`${bucket} ${type}/${id} ${json}`),
    lookup: (key, sets) => found.lookups.set(key, [...(found.lookups.get(key) ?? []), sets]),
    error: (definition, message) => found.errors.push(`${definition}: ${message}`),
  };
  for (const row of rows) {
    const columns = Object.keys(row).map((column) => ({ name: column, type: 'text', typeId: 25 }));
    const evaluator = rules.compileTable({ connectionTag: 'default', schema: 'public', name, columns });
    evaluator?.evaluate(Object.values(row), sink);
  }
  return found;
}

async function bucketsOf(
  rules: SyncRules,
  request: { token?: Record<string, unknown>; parameters?: Record<string, unknown> },
  lookups: ReadonlyMap<string, string[]> = new Map(),
) {
  const resolution = rules.resolve({
    token: request.token ?? {},
    parameters: request.parameters ?? {},
    subscriptions: [],
    includeDefaults: true,
  });
  const calls: (readonly string[])[] = [];
  const dynamic = await resolution.dynamic?.resolve(async (keys) => {
    calls.push(keys);
    return keys.map((key) => lookups.get(key) ?? []);
  });
  const buckets = dynamic?.buckets ?? resolution.staticBuckets;
  const errors = resolution.streams.flatMap(({ name, errors: found }) =>
    found.map(({ message }) => `${name}: ${message}`),
  );
  return { buckets: buckets.map(({ bucket }) => bucket), errors, calls };
}

function definition(parameters: readonly string[], data: readonly string[], more = ''): string {
  const list = (items: readonly string[]): string => items.map((sql) => `      - ${JSON.stringify(sql)}\n`).join('');
  const head = parameters.length === 0 ? '' : `    parameters:\n${list(parameters)}`;
  return `bucket_definitions:\n  b:\n${more}${head}    data:\n${list(data)}`;
}

describe('matching rows', () => {
  const me = 'SELECT request.user_id() AS me';

  test.each([
    ['u = bucket.me', { u: 'ann' }, ['b["ann"]']],
    ['bucket.me = u', { u: 'ann' }, ['b["ann"]']],
    ['u = bucket.me', { u: null }, []],
    ['bucket.me IN u', { u: '["a", 1, 2.0, null]' }, ['b["a"]', 'b[1]', 'b[2]', 'b[null]']],
    ['u = bucket.me OR v = bucket.me', { u: 'a', v: 'b' }, ['b["a"]', 'b["b"]']],
    ['u = bucket.me AND v = bucket.me', { u: 'a', v: 'a' }, ['b["a"]']],
    ['u = bucket.me AND v = bucket.me', { u: 'a', v: 'b' }, []],
    ['u = bucket.me AND bucket.me IN v', { u: 'a', v: '["b","a"]' }, ['b["a"]']],
    ["u = bucket.me AND (v = 'x' OR v IS NULL)", { u: 'a', v: null }, ['b["a"]']],
    ["u = bucket.me AND NOT v = 'x'", { u: 'a', v: 'x' }, []],
    ["bucket.me = 'ann'", { u: 'a' }, ['b["ann"]']],
    ['bucket.me', { u: 'a' }, ['b[1]']],
  ] as const)('%s', (where, row, expected) => {
    const rules = rulesOf(definition([me], [`SELECT id FROM t WHERE ${where}`]));
    const { data, errors } = evaluate(rules, 't', [{ id: '7', ...row }]);
    expect(errors).toEqual([]);
    expect(data).toEqual(expected.map((bucket) => `${bucket} t/7 {"id":"7"}`));
  });

  test('a row that one query cannot work with is in the buckets of the others', () => {
    const rules = rulesOf(
      definition([me], ['SELECT id FROM t WHERE bucket.me IN u', 'SELECT id FROM t WHERE v = bucket.me']),
    );
    const { data, errors } = evaluate(rules, 't', [{ id: '7', u: '{}', v: 'x' }]);
    expect(data).toEqual(['b["x"] t/7 {"id":"7"}']);
    expect(errors).toHaveLength(1);
  });

  test.each([
    ['x > bucket.me', 'parameter-misplaced: bucket.me'],
    ['x IN bucket.me', 'parameter-misplaced: bucket.me'],
    ['upper(bucket.me) = x', 'parameter-misplaced: bucket.me'],
    ['NOT x = bucket.me', 'parameter-match-in-expression: x = bucket.me'],
    ['x = bucket.me OR y', 'or-different-parameters: x = bucket.me OR y'],
    ['bucket.me IN x AND bucket.me IN y', 'too-many-arrays: bucket.me IN x AND bucket.me IN y'],
    ['x = request.user_id()', 'request-in-data-query: request.user_id()'],
    ['x = y', 'uncovered-parameters: SELECT id FROM t WHERE x = y'],
    ['x = bucket.you', 'uncovered-parameters: SELECT id FROM t WHERE x = bucket.you'],
  ])('%s cannot be', (where, expected) => {
    const yaml = `bucket_definitions:\n  b:\n    parameters: ${me}\n    data:\n      - SELECT id FROM t WHERE ${where}\n`;
    expect(problems(yaml)).toEqual([expected]);
  });
});

describe('parameters from a table', () => {
  const rules = rulesOf(
    definition(
      [
        "SELECT id AS org, request.jwt() ->> 'zone' AS zone FROM members WHERE person = request.user_id() AND active = '1'",
        "SELECT org, 'all' AS zone FROM admins WHERE level IN request.jwt() -> 'levels' AND request.jwt() ->> 'admin'",
      ],
      ['SELECT id FROM docs WHERE org = bucket.org AND zone = bucket.zone'],
    ),
  );
  const members = evaluate(rules, 'members', [
    { id: 'o1', person: 'ann', active: '1' },
    { id: 'o2', person: 'ann', active: '0' },
    { id: 'o3', person: 'bob', active: '1' },
  ]);
  const admins = evaluate(rules, 'admins', [
    { org: 'o8', level: 'x' },
    { org: 'o9', level: 'y' },
  ]);
  const lookups = new Map([...members.lookups, ...admins.lookups]);

  test('rows of the index', () => {
    expect([...lookups]).toEqual([
      ['["b","1","ann"]', ['[{"org":"o1"}]']],
      ['["b","1","bob"]', ['[{"org":"o3"}]']],
      ['["b","2","x",1]', ['[{"org":"o8"}]']],
      ['["b","2","y",1]', ['[{"org":"o9"}]']],
    ]);
  });

  test('one client', async () => {
    const token = { sub: 'ann', zone: 'n', levels: ['y', 'z'], admin: true };
    const { buckets, calls } = await bucketsOf(rules, { token }, lookups);
    expect(buckets).toEqual(['b["o1","n"]', 'b["o9","all"]']);
    // All definitions' questions go to storage together.
    expect(calls).toEqual([['["b","1","ann"]', '["b","2","y",1]', '["b","2","z",1]']]);
  });

  test('a condition on the token alone is part of the key', async () => {
    const token = { sub: 'zoe', levels: ['x'], admin: false };
    expect((await bucketsOf(rules, { token }, lookups)).buckets).toEqual([]);
  });
});

describe('parameters from the request alone', () => {
  test('outputs are put into the order of the first query', async () => {
    const rules = rulesOf(
      definition(
        ["SELECT request.user_id() AS a, 'x' AS b", "SELECT request.jwt() ->> 'k' AS b, 'y' AS a"],
        ['SELECT id FROM t WHERE p = bucket.b AND q = bucket.a'],
      ),
    );
    expect((await bucketsOf(rules, { token: { sub: 'ann', k: 1 } })).buckets).toEqual(['b["ann","x"]', 'b["y",1]']);
    expect(evaluate(rules, 't', [{ id: '1', p: 'P', q: 'Q' }]).data).toEqual(['b["Q","P"] t/1 {"id":"1"}']);
  });

  test('json_each over a claim that is no JSON leaves other definitions alone', async () => {
    const each = definition(
      ["SELECT value AS v FROM json_each(request.jwt() ->> 'n')"],
      ['SELECT id FROM t WHERE v = bucket.v'],
    );
    const rules = rulesOf(`${each}  all:\n    data: [SELECT id FROM t]\n`);
    const { buckets, errors } = await bucketsOf(rules, { token: { n: 5 } });
    expect(buckets).toEqual(['all[]']);
    expect(errors).toHaveLength(1);
  });

  test.each([
    ["SELECT request.parameters() ->> 'p' AS p", ['dangerous-parameters']],
    ["SELECT request.parameters() ->> 'p' AS p WHERE request.user_id() = 'x'", ['dangerous-parameters']],
    ["SELECT request.parameters() ->> 'p' AS p FROM t WHERE o = request.user_id()", []],
    [
      "SELECT id AS p FROM t WHERE request.jwt() ->> 'a' = 1 OR request.parameters() ->> 'o' = 2",
      ['dangerous-parameters'],
    ],
    ['SELECT token_parameters.q AS p WHERE user_parameters.p = 1', []],
  ])('warning for %s', (sql, expected) => {
    const found = problems(definition([sql], ['SELECT id FROM t WHERE p = bucket.p'])).map(
      (problem) => problem.split(':')[0],
    );
    expect(found).toEqual(expected);
  });
});

test('bucket names carry the prefix, lookups do not', async () => {
  const rules = rulesOf(
    definition(['SELECT id AS o FROM p WHERE u = request.user_id()'], ['SELECT id FROM t WHERE o = bucket.o']),
    '12#',
  );
  const { lookups } = evaluate(rules, 'p', [{ id: 'o1', u: 'ann' }]);
  expect([...lookups.keys()]).toEqual(['["b","1","ann"]']);
  expect(evaluate(rules, 't', [{ id: '1', o: 'o1' }]).data).toEqual(['12#b["o1"] t/1 {"id":"1"}']);
  expect((await bucketsOf(rules, { token: { sub: 'ann' } }, lookups)).buckets).toEqual(['12#b["o1"]']);
});

test('the hash of a definition is that of its meaning', () => {
  const hashOf = (yaml: string): string | undefined => rulesOf(yaml).definitions[0]?.hash;
  const one = hashOf(
    definition(['SELECT request.user_id() AS u'], ["SELECT id, upper(n) AS n FROM t WHERE u = bucket.u AND k <> 'x'"]),
  );
  const same = hashOf(
    definition(
      ['select  REQUEST.user_id() as u'],
      ["SELECT id, UPPER( t.n ) n FROM public.t -- c\nWHERE (u = bucket.u) AND k != 'x'"],
    ),
  );
  const other = hashOf(
    definition(['SELECT request.user_id() AS u'], ["SELECT id, lower(n) AS n FROM t WHERE u = bucket.u AND k <> 'x'"]),
  );
  expect(same).toBe(one);
  expect(other).not.toBe(one);
});

test('one mistake in a parameter query is one report, unless nothing of the query can be understood', () => {
  expect(
    problems(definition(['SELECT uper(request.user_id()) AS u'], ['SELECT id FROM t WHERE u = bucket.u'])),
  ).toEqual(['unknown-function: uper(request.user_id())']);
  expect(problems(definition(['SELECT * FROM p'], ['SELECT id FROM t']))).toEqual([
    'star-in-parameters: *',
    'no-parameter-query: SELECT id FROM t',
  ]);
});

test('an evaluator says what it reads: columns of objects, conditions, keys and lookups', () => {
  const columns = ['id', 'unused', 'u', 'n', 'k', 'shown'].map((name) => ({ name, type: 'text', typeId: 25 }));
  const readsOf = (rules: SyncRules) =>
    rules
      .compileTable({ connectionTag: 'default', schema: 'public', name: 't', columns })
      ?.reads?.map((column) => columns[column]?.name);
  const own = 'SELECT request.user_id() AS u';
  const one = definition([own], ["SELECT id, upper(n) AS n, nothing FROM t WHERE u = bucket.u AND k <> 'x'"]);
  expect(readsOf(rulesOf(one))).toEqual(['id', 'u', 'n', 'k']);
  const lookup = definition(
    ['SELECT shown AS u FROM t WHERE k = request.user_id()'],
    ['SELECT id FROM x WHERE u = bucket.u'],
  );
  expect(readsOf(rulesOf(lookup))).toEqual(['k', 'shown']);
  const all = definition([own], ['SELECT * FROM t WHERE u = bucket.u']);
  expect(readsOf(rulesOf(all))).toHaveLength(columns.length);
});

test.each([
  ['OR of one parameter', 'OR', (index: number) => `c${index} = bucket.u`],
  ['AND of one parameter', 'AND', (index: number) => `c${index} = bucket.u`],
  [
    'AND of row conditions behind a parameter',
    'AND',
    (index: number) => (index === 0 ? 'u = bucket.u' : `c${index} > 1`),
  ],
])('twenty thousand operands: %s', (_, operator, operand) => {
  const where = Array.from({ length: 20_000 }, (_, index) => operand(index)).join(` ${operator} `);
  const { cpuMs } = cpuTimed(() => {
    const rules = rulesOf(definition(['SELECT request.user_id() AS u'], [`SELECT id FROM t WHERE ${where}`]));
    evaluate(rules, 't', [{ id: '1', u: 'ann' }]);
  });
  expect(cpuMs).toBeLessThan(5000);
});

test('twenty thousand parameters in one key', () => {
  const where = Array.from({ length: 20_000 }, (_, index) => `c${index} = request.jwt() ->> 'k${index}'`).join(' AND ');
  const { cpuMs } = cpuTimed(() =>
    rulesOf(definition([`SELECT id AS u FROM p WHERE ${where}`], ['SELECT id FROM t WHERE u = bucket.u'])),
  );
  expect(cpuMs).toBeLessThan(5000);
});
