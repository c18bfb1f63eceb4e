import { describe, expect, test } from 'vitest';
import { cpuTimed } from '../test-cpu-time.ts';
import { parseSyncRules } from '../parse.ts';
import { bucketNames, evaluate, resolve, rulesOf, stream, type TestRow, visibleIds } from './test-kit.ts';

function rows(table: string, ...list: TestRow['row'][]): TestRow[] {
  return list.map((row) => ({ table, row }));
}

/** `severity code at text` of each diagnostic. */
function diagnosticsOf(yaml: string): string[] {
  const { diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public' });
  return diagnostics.map(({ severity, code, text }) => `${severity} ${code} at ${text}`);
}

function dataOf(yaml: string, list: readonly TestRow[]) {
  return evaluate(rulesOf(yaml), list).data.map(({ bucket, json }) => `${bucket} ${json}`);
}

describe('buckets', () => {
  test('are numbered by alternative; equal request sides share one', () => {
    const yaml = stream('SELECT id FROM docs WHERE author = auth.user_id() OR reviewer = auth.user_id() OR k = 1');
    expect(dataOf(yaml, rows('docs', { id: 1n, author: 'ann', reviewer: 'bob', k: 1n }))).toEqual([
      's|0["ann"] {"id":1}',
      's|0["bob"] {"id":1}',
      's|2[] {"id":1}',
    ]);
  });

  test('columns of one table in OR are one filter, request values another', () => {
    const yaml = stream(
      "SELECT id FROM docs WHERE a = 1 OR auth.parameter('x') = 1 OR b = 2 OR auth.parameter('y') = 1",
    );
    expect(dataOf(yaml, rows('docs', { id: 1n, a: 0n, b: 2n }))).toEqual(['s|0[] {"id":1}', 's|1[] {"id":1}']);
  });

  test('the same rows in two streams are one bucket, with the lower priority', async () => {
    const yaml = `config: {edition: 3}
streams:
  first: {auto_subscribe: true, query: SELECT * FROM prof WHERE u = auth.user_id()}
  second:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM prof WHERE u IN (SELECT buddy FROM buddies WHERE me = auth.user_id())
`;
    const rules = rulesOf(yaml);
    const list = [
      ...rows('buddies', { id: 1n, me: 'ann', buddy: 'ann' }, { id: 2n, me: 'ann', buddy: 'bob' }),
      ...rows('prof', { id: 'p', u: 'ann' }),
    ];
    const { data, lookups } = evaluate(rules, list);
    expect(data).toHaveLength(1);
    const { buckets } = await resolve(rules, lookups, {});
    expect(buckets.map(({ bucket, priority }) => [bucket, priority])).toEqual([
      ['first|0["ann"]', 1],
      ['first|0["bob"]', 1],
    ]);
  });

  test('carry the prefix of the version', async () => {
    const rules = rulesOf(stream('SELECT id FROM t WHERE u = auth.user_id()'), '12#');
    const { data } = evaluate(rules, rows('t', { id: 1n, u: 'ann' }));
    expect(data[0]?.bucket).toBe('12#s|0["ann"]');
    expect((await resolve(rules, new Map(), {})).buckets[0]?.bucket).toBe('12#s|0["ann"]');
  });

  test('show a whole real like an integer, and text apart', () => {
    const yaml = stream("SELECT id FROM t WHERE v = auth.parameter('v')");
    const list = rows('t', { id: 1n, v: 2n }, { id: 2n, v: 2 }, { id: 3n, v: '2' }, { id: 4n, v: 2.5 });
    expect(dataOf(yaml, list).map((line) => line.split(' ')[0])).toEqual(['s|0[2]', 's|0[2]', 's|0["2"]', 's|0[2.5]']);
  });

  test('have no rows with null or blob keys', () => {
    const yaml = stream('SELECT id FROM t WHERE u = auth.user_id()');
    expect(dataOf(yaml, rows('t', { id: 1n, u: null }, { id: 2n, u: new Uint8Array(1) }, { id: 3n }))).toEqual([]);
  });
});

test('a definition means the same whatever its version, and another thing with another condition', () => {
  const hashOf = (where: string, prefix: string) =>
    rulesOf(stream(`SELECT id FROM t WHERE ${where}`), prefix).definitions[0]?.hash;
  expect(hashOf('u = auth.user_id()', '1#')).toBe(hashOf('auth.user_id() = U', '2#'));
  expect(hashOf('u = auth.user_id()', '')).not.toBe(hashOf("u = auth.parameter('sub')", ''));
});

describe('access', () => {
  const admins = [
    ...rows('admins', { id: 1n, login: 'ann', active: 1n }, { id: 2n, login: 'bob', active: 0n }),
    ...rows('logs', { id: 9n }),
  ];
  const exists = stream('SELECT id FROM logs WHERE auth.user_id() IN (SELECT login FROM admins WHERE active = 1)');

  test('existence is a lookup: nothing found, nothing seen', async () => {
    expect(await visibleIds(exists, admins)).toEqual(['9']);
    expect(await visibleIds(exists, admins, { token: { sub: 'bob' } })).toEqual([]);
    expect(await visibleIds(exists, admins, { token: {} })).toEqual([]);
  });

  test('a joined table without condition must have a row', async () => {
    const yaml = stream('SELECT a.id FROM a, b');
    expect(await visibleIds(yaml, rows('a', { id: 1n }))).toEqual([]);
    expect(await visibleIds(yaml, [...rows('a', { id: 1n }), ...rows('b', { id: 1n })])).toEqual(['1']);
  });

  test('values of one row stay together', async () => {
    const yaml = stream(
      "SELECT p.id FROM p, shops WHERE p.shop = shops.name AND p.region = shops.region AND shops.chain = auth.parameter('c')",
    );
    const list = [
      ...rows('shops', { name: 'N1', region: 'R1', chain: 'C' }, { name: 'N2', region: 'R2', chain: 'C' }),
      ...rows('p', { id: 1n, shop: 'N1', region: 'R2' }, { id: 2n, shop: 'N2', region: 'R2' }),
    ];
    expect(await visibleIds(yaml, list, { token: { sub: 'ann', c: 'C' } })).toEqual(['2']);
  });

  test('two conditions on one column intersect', async () => {
    const yaml = stream(
      'SELECT id FROM t WHERE x IN (SELECT x FROM p WHERE u = auth.user_id()) AND x IN (SELECT x FROM q WHERE u = auth.user_id())',
    );
    const list = [
      ...rows('p', { x: 1n, u: 'ann' }, { x: 2n, u: 'ann' }),
      ...rows('q', { x: 2, u: 'ann' }, { x: 3n, u: 'ann' }),
    ];
    expect(await bucketNames(yaml, list)).toEqual(['s|0[2]']);
  });

  test('null and missing values lead nowhere', async () => {
    const yaml = stream("SELECT id FROM t WHERE org = auth.parameter('org')");
    expect(await bucketNames(yaml, [])).toEqual([]);
    expect(await bucketNames(yaml, [], { token: { sub: 'ann', org: null } })).toEqual([]);
    expect(await bucketNames(yaml, [], { token: { sub: 'ann', org: [1] } })).toEqual(['s|0["[1.0]"]']);
  });

  test('only the lookups that are needed are asked, level by level', async () => {
    const rules = rulesOf(
      stream(
        'SELECT msgs.* FROM msgs JOIN rooms ON msgs.room = rooms.id JOIN guests ON guests.room = rooms.id WHERE guests.person = auth.user_id() AND rooms.open = 1',
      ),
    );
    const { lookups } = evaluate(rules, [
      ...rows('guests', { room: 'R', person: 'ann' }, { room: 'Q', person: 'ann' }, { room: 'Z', person: 'bob' }),
      ...rows('rooms', { id: 'R', open: 1n }, { id: 'Q', open: 0n }, { id: 'Z', open: 1n }),
    ]);
    const { buckets, asked } = await resolve(rules, lookups, {});
    expect(buckets.map(({ bucket }) => bucket)).toEqual(['s|0["R"]']);
    expect(asked.map((key) => (JSON.parse(key) as unknown[]).slice(2))).toEqual([['ann'], ['R'], ['Q']]);
  });

  test('an error of one subscription is its own', async () => {
    const rules = rulesOf(
      stream(
        "SELECT id FROM p WHERE id IN subscription.parameter('ids')",
        'accept_potentially_dangerous_queries: true',
      ),
    );
    const subscriptions = [[3, 'x', null, 2.5], 'nope', null].map((ids) => ({
      stream: 's',
      parameters: { ids },
      overridePriority: 0,
    }));
    const { buckets, errors } = await resolve(rules, new Map(), { subscriptions });
    expect(buckets).toEqual(
      ['s|0[3]', 's|0["x"]', 's|0[2.5]'].map((bucket) => ({
        bucket,
        priority: 0,
        definition: 's',
        reasons: [{ subscription: 0 }],
      })),
    );
    expect(errors).toEqual([{ subscription: 1, message: 'json_each needs JSON text' }]);
  });

  test('two long lists are an error, not a hang', async () => {
    const list = Array.from({ length: 1000 }, (_, n) => n);
    const yaml = stream("SELECT id FROM p WHERE a IN auth.parameter('x') AND b IN auth.parameter('y')");
    const { buckets, errors } = await resolve(rulesOf(yaml), new Map(), { token: { sub: 'ann', x: list, y: list } });
    expect(buckets).toEqual([]);
    expect(errors).toEqual([{ subscription: 'default', message: expect.stringContaining('combinations') as string }]);
  });

  test('lookup rows with a null or a blob in them do not exist', () => {
    const yaml = stream('SELECT id FROM t WHERE x IN (SELECT x FROM p WHERE u = auth.user_id())');
    const { lookups } = evaluate(
      rulesOf(yaml),
      rows('p', { x: null, u: 'ann' }, { x: 1n, u: null }, { x: new Uint8Array(1), u: 'ann' }, { x: 3, u: 1 }),
    );
    expect([...lookups]).toEqual([[expect.stringMatching(/^\["stream","[0-9a-f]{16}",1\]$/), ['[{"0":3.0}]']]]);
  });
});

describe('arrays', () => {
  test('of rows: a member sees the row; a bad array is an error of its row', () => {
    const rules = rulesOf(stream('SELECT id FROM photos WHERE auth.user_id() IN photos.tagged'));
    const { data, errors } = evaluate(
      rules,
      rows('photos', { id: 1n, tagged: '["ann",null,"ann",4]' }, { id: 2n, tagged: null }, { id: 3n, tagged: 'bad' }),
    );
    expect(data.map(({ bucket }) => bucket)).toEqual(['s|0["ann"]', 's|0[4]']);
    expect(errors).toHaveLength(1);
  });

  test('of a joined row give one lookup row with all its sets', () => {
    const yaml = stream(
      'SELECT * FROM lists WHERE id IN (SELECT l.value FROM access a, json_each(a.allowed) AS l WHERE a.who = auth.user_id())',
    );
    const { lookups } = evaluate(rulesOf(yaml), rows('access', { who: 'ann', allowed: '["A","B","A"]' }));
    expect([...lookups.values()]).toEqual([['[{"0":"A"},{"0":"B"}]']]);
  });

  test('of the request can be joined with each other and with keys', async () => {
    const yaml = stream("SELECT a.id FROM a, json_each(auth.parameter('m')) AS m WHERE a.k = m.key AND a.v = m.value");
    expect(await bucketNames(yaml, [], { token: { sub: 'ann', m: { x: 2, y: 3 } } })).toEqual([
      's|0["x",2]',
      's|0["y",3]',
    ]);
  });

  test('that are constant are read with the rows', () => {
    const yaml = stream('SELECT s.id FROM s JOIN json_each(\'["x","y"]\') AS l ON s.state = l.value');
    expect(dataOf(yaml, rows('s', { id: 1n, state: 'x' }, { id: 2n, state: 'z' }))).toEqual(['s|0[] {"id":1}']);
  });
});

describe('outputs', () => {
  test('later ones replace earlier ones; a star takes every column', () => {
    const yaml = stream('SELECT *, upper(name) AS name FROM a');
    expect(dataOf(yaml, rows('a', { id: 1n, name: 'x', _y: 2n }))).toEqual(['s|0[] {"id":1,"name":"X","_y":2}']);
  });

  test('of a query in FROM are its columns', () => {
    const yaml = stream(
      'SELECT q.* FROM (SELECT id, owner FROM pets WHERE live) AS q(id, o) WHERE q.o = auth.user_id()',
    );
    expect(dataOf(yaml, rows('pets', { id: 1n, owner: 'ann', live: 1n }, { id: 2n, owner: 'ann', live: 0n }))).toEqual([
      's|0["ann"] {"id":1,"o":"ann"}',
    ]);
  });

  test('rows sync under the alias of their table', () => {
    const { data } = evaluate(rulesOf(stream('SELECT c.* FROM "com_%" AS c')), rows('com_1', { id: 1n }));
    expect(data[0]?.type).toBe('c');
  });
});

describe('common table expressions', () => {
  const yaml = `config: {edition: 3}
with:
  my_orgs: SELECT org FROM members WHERE person = auth.user_id()
streams:
  a: {auto_subscribe: true, query: SELECT id FROM orgs WHERE id IN my_orgs}
  b:
    auto_subscribe: true
    with:
      MY_ORGS: SELECT boss_org AS org FROM bosses WHERE person = auth.user_id()
    queries:
      - SELECT id FROM repos WHERE org IN (SELECT org FROM my_orgs)
      - SELECT r.id FROM teams r, my_orgs WHERE r.org = my_orgs.org
`;

  test('of the stream hide those of the document', async () => {
    const list = [
      ...rows('members', { org: 'O', person: 'ann' }),
      ...rows('bosses', { boss_org: 'P', person: 'ann' }),
      ...rows('repos', { id: 'r', org: 'P' }),
      ...rows('teams', { id: 't', org: 'P' }),
    ];
    expect(await bucketNames(yaml, list)).toEqual(['a|0["O"]', 'b|0["P"]']);
    expect(await visibleIds(yaml, list)).toEqual(['r', 't']);
  });

  test('that are not used, or wrong, are reported', () => {
    const wrong = (body: string, query: string) =>
      diagnosticsOf(`config: {edition: 3}\nstreams:\n  s:\n    with: {c: "${body}"}\n    query: ${query}\n`);
    expect(wrong('SELECT id FROM b', 'SELECT id FROM a')).toEqual(['warning unused-common-table at c']);
    expect(wrong('SELECT * FROM b', 'SELECT id FROM a WHERE id IN (SELECT x FROM c)')).toEqual([
      'fatal star-in-subquery at *',
      'fatal no-such-column at x',
    ]);
    expect(wrong('SELECT x, y FROM b', 'SELECT id FROM a WHERE id IN c')).toEqual(['fatal one-column-needed at c']);
    expect(wrong('SELECT nope(x) AS x FROM b', 'SELECT id FROM a')).toEqual([
      'warning unused-common-table at c',
      'fatal unknown-function at nope',
    ]);
  });
});

describe('what is refused, and where', () => {
  test.each([
    ['SELECT a.* FROM a LEFT JOIN b ON a.id = b.id', 'unsupported-join at ON a.id = b.id'],
    ['SELECT a.* FROM a JOIN b ON a.x > b.y', 'mixed-sources at b.y'],
    ['SELECT id FROM a WHERE x > auth.user_id()', 'mixed-sources at auth.user_id()'],
    ['SELECT id FROM a WHERE NOT (u = auth.user_id())', 'mixed-sources at auth.user_id()'],
    ["SELECT id FROM a WHERE id NOT IN auth.parameter('x')", "mixed-sources at auth.parameter('x')"],
    ['SELECT id FROM a WHERE id NOT IN (SELECT x FROM b)', 'mixed-sources at x'],
    ['SELECT id FROM a WHERE 5 NOT IN (SELECT x FROM b)', 'mixed-sources at 5 NOT IN (SELECT x FROM b'],
    ["SELECT id FROM a WHERE NOT (a.x && auth.parameter('l'))", "mixed-sources at auth.parameter('l')"],
    ['SELECT id, auth.user_id() AS u FROM a', 'request-in-select at auth.user_id()'],
    ['SELECT a.id, b.x FROM a JOIN b ON a.id = b.id', 'second-table-selected at b.x'],
    ['SELECT 1 AS id FROM a', 'no-primary-table at SELECT 1 AS id FROM a'],
    ['SELECT x.id FROM a x, b x', 'duplicate-source at b'],
    ['SELECT id FROM a WHERE id IN (SELECT x, y FROM b)', 'one-column-needed at SELECT x, y FROM b'],
    ["SELECT id FROM a WHERE id IN ('x', 'y')", "in-list at 'x', 'y'"],
    ["SELECT id FROM a WHERE id IN ('x')", "in-list at 'x'"],
    ['SELECT a.id FROM a, json_each(auth.parameter(a.x)) AS l WHERE a.y = l.value', 'json-each-mixed at a.x'],
    ['SELECT id FROM a WHERE k = request.user_id()', 'unknown-function at request.user_id'],
    ['SELECT id FROM a WHERE k = auth.parameter()', 'wrong-argument-count at auth.parameter()'],
  ])('%s', (query, diagnostic) => {
    expect(diagnosticsOf(stream(query))).toEqual([`fatal ${diagnostic}`]);
  });

  test('too many alternatives', () => {
    const factors = Array.from({ length: 7 }, (_, n) => `(p${n} = auth.user_id() OR q${n} = auth.user_id())`).join(
      ' AND ',
    );
    expect(diagnosticsOf(stream(`SELECT id FROM a WHERE ${factors}`))).toEqual([
      expect.stringMatching(/^fatal too-many-terms/),
    ]);
    const filters = Array.from({ length: 9 }, (_, n) => `(p${n} = 1 OR q${n} = 2)`).join(' AND ');
    expect(diagnosticsOf(stream(`SELECT id FROM a WHERE ${filters}`))).toEqual([]);
  });

  test.each<[string, () => string, string]>([
    [
      'tables',
      () => `SELECT a.id FROM a, ${Array.from({ length: 5000 }, (_, n) => `b AS t${n}`).join(', ')}`,
      'too-many-sources',
    ],
    [
      'arrays',
      () => `SELECT id FROM a WHERE ${Array.from({ length: 5000 }, () => "x IN auth.parameter('l')").join(' AND ')}`,
      'too-many-sources',
    ],
    [
      'columns of columns',
      () => {
        let inner = 'a';
        for (let level = 0; level < 40; level++) inner = `(SELECT id, x || x AS x FROM ${inner}) AS q${level}`;
        return `SELECT id FROM ${inner} WHERE x = auth.user_id()`;
      },
      'expression-too-large',
    ],
    [
      'equalities',
      () => `SELECT id FROM a WHERE ${Array.from({ length: 15000 }, (_, n) => `c${n} = auth.user_id()`).join(' AND ')}`,
      '',
    ],
    [
      'terms',
      () =>
        `SELECT id FROM a WHERE (x = auth.user_id() OR y = auth.user_id()) AND ${Array.from({ length: 15000 }, (_, n) => `c${n} = auth.user_id()`).join(' AND ')}`,
      'too-many-terms',
    ],
    [
      'filters',
      () => `SELECT id FROM a WHERE ${Array.from({ length: 15000 }, (_, n) => `(c${n} = 1 OR NOT d)`).join(' AND ')}`,
      '',
    ],
  ])('a great many %s end at once', (_, query, code) => {
    const { result: found, cpuMs } = cpuTimed(() => diagnosticsOf(stream(query())));
    expect(cpuMs).toBeLessThan(8000);
    if (code === '') expect(found).toEqual([]);
    else expect(found[0]).toContain(`fatal ${code}`);
  });

  test('rows whose arrays multiply without bound are errors', () => {
    const eaches = Array.from({ length: 6 }, (_, n) => `json_each(a.x) AS e${n}`).join(', ');
    const long = JSON.stringify(Array.from({ length: 100 }, (_, n) => n));
    const { errors } = evaluate(rulesOf(stream(`SELECT a.id FROM a, ${eaches}`)), rows('a', { id: 1n, x: long }));
    expect(errors).toEqual([expect.stringContaining('combinations')]);
  });

  test('double negation is none', () => {
    expect(diagnosticsOf(stream('SELECT id FROM a WHERE NOT (NOT (u = auth.user_id()))'))).toEqual([]);
  });
});

describe('dangerous parameters', () => {
  test.each([
    ["x = connection.parameter('x')", "connection.parameter('x')"],
    ["x = subscription.parameter('x') AND auth.parameter('role') = 'r'", "subscription.parameter('x')"],
    ["subscription.parameter('all') = 1", "subscription.parameter('all')"],
    ["x IN (SELECT y FROM b WHERE k = subscription.parameter('k'))", "subscription.parameter('k')"],
    ["x = subscription.parameter('x') AND u = auth.user_id()", null],
    ["x IN (SELECT y FROM b WHERE k = subscription.parameter('k') AND u = auth.user_id())", null],
    ["subscription.parameter('all') = 1 AND auth.parameter('r') = 1", null],
    ['x = 1', null],
  ])('WHERE %s', (where, place) => {
    const expected = place === null ? [] : [`warning dangerous-parameters at ${place}`];
    expect(diagnosticsOf(stream(`SELECT id FROM a WHERE ${where}`))).toEqual(expected);
  });

  test('can be accepted', () => {
    const query = "SELECT id FROM a WHERE x = connection.parameter('x')";
    expect(diagnosticsOf(stream(query, 'accept_potentially_dangerous_queries: true'))).toEqual([]);
  });
});

describe('edition 2', () => {
  const alpha = (query: string, options = 'auto_subscribe: true') =>
    stream(query, options).replace('edition: 3', 'edition: 2');

  test('each alternative is a bucket; null values have one too; a star leaves out names with _', async () => {
    const yaml = alpha("SELECT * FROM t WHERE u = auth.user_id() OR v = auth.parameter('v')");
    expect(dataOf(yaml, rows('t', { id: 1n, u: 'ann', v: 'ann', _w: 1n }))).toEqual([
      's|0["ann"] {"id":1,"u":"ann","v":"ann"}',
      's|1["ann"] {"id":1,"u":"ann","v":"ann"}',
    ]);
    expect(await bucketNames(yaml, [])).toEqual(['s|0["ann"]', 's|1[null]']);
  });

  test('_table_suffix is what a wildcard stands for', () => {
    const yaml = alpha('SELECT id, _table_suffix AS part FROM "n_%" AS n WHERE _table_suffix = auth.user_id()');
    expect(dataOf(yaml, rows('n_ann', { id: 1n }))).toEqual(['s|0["ann"] {"id":1,"part":"ann"}']);
  });

  test.each([
    ['SELECT name FROM t', 'missing-id at name'],
    ['SELECT id FROM t WHERE NOT u = auth.user_id()', 'negated-parameter at u = auth.user_id()'],
    ['SELECT id FROM t WHERE x IN (SELECT y FROM b WHERE live)', 'subquery-without-request'],
    ['SELECT id FROM t WHERE x BETWEEN 1 AND 2', 'unsupported-expression at x BETWEEN 1 AND 2'],
    ["SELECT id FROM t WHERE x = subscription.parameter('x')", 'default-uses-subscription'],
    ['SELECT id, userName AS u FROM t', 'upper-case-name at userName'],
    ['SELECT id AS Id, id FROM Things', 'upper-case-name at Things'],
  ])('%s', (query, diagnostic) => {
    expect(diagnosticsOf(alpha(query))).toContainEqual(expect.stringContaining(diagnostic));
  });
});
