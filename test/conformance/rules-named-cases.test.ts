/**
 * What the language's specification says of its named cases that are not among the measured ones we have: diagnostics.
 * A line is a name, a document, and `code@text` of each diagnostic; `code` alone where the place is left open.
 */
import { parseSyncRules, type SourceSchema } from '@sluice/sync-rules';
import { expect, test } from 'vitest';

const sql = (query: string): string => JSON.stringify(query);

function bucket(data: string, parameters?: string, edition = 1): string {
  const own = parameters === undefined ? '' : `    parameters: ${sql(parameters)}\n`;
  return `config: { edition: ${edition} }\nbucket_definitions:\n  d:\n${own}    data:\n      - ${sql(data)}\n`;
}

function stream(query: string, edition = 3): string {
  return `config: { edition: ${edition} }\nstreams:\n  s:\n    query: ${sql(query)}\n`;
}

const USER = 'SELECT request.user_id() AS u';
const TWO = 'SELECT request.user_id() AS u, request.jwt() AS v';
const MATCH = 'SELECT id FROM t WHERE a = bucket.u';

const schema: SourceSchema = { tables: [{ schema: 'public', name: 't', columns: [{ name: 'id', type: 'text' }] }] };

const CASES: readonly (readonly [name: string, yaml: string, diagnostics: readonly string[]])[] = [
  ['ya-02 the root is a list', '- a\n', ['not-a-map']],
  ['ya-05 an unknown key', 'bucket_definitions:\n  d: { data: [], odd: 1 }\n', ['unknown-key@odd']],
  ['ya-08 a definition is a map', 'bucket_definitions:\n  d: SELECT\n', ['not-a-map']],
  ['ya-11 a quoted edition', 'config: { edition: "2" }\nbucket_definitions: {}\n', ['wrong-value']],
  [
    'ya-14 queries need edition 3',
    'config: { edition: 2 }\nstreams:\n  s: { queries: [SELECT id FROM t] }\n',
    ['needs-edition', 'old-edition'],
  ],
  ['ya-17 storage version 3', 'config: { storage_version: 3 }\nbucket_definitions: {}\n', ['storage-version-unstable']],
  [
    'ya-20 a place in folded text',
    'bucket_definitions:\n  d:\n    data:\n      - >\n        SELECT id,\n        uper(x) AS y\n        FROM t\n',
    ['unknown-function@uper(x)'],
  ],
  [
    'ya-26 a text for a boolean',
    'config: { edition: 2, fixed_json_extract: x }\nbucket_definitions: {}\n',
    ['not-a-boolean@x'],
  ],
  [
    'ya-29 payloads are a list',
    'bucket_definitions: {}\nevent_definitions: { e: { payloads: [SELECT id FROM t] } }\n',
    [],
  ],
  [
    'ya-30 payloads are no text',
    'bucket_definitions: {}\nevent_definitions: { e: { payloads: SELECT id FROM t } }\n',
    ['not-a-list'],
  ],
  ['ya-32 quoted names keep their case', bucket('SELECT "Id" AS id FROM "Tasks"'), []],
  ['ya-35 an empty map counts', 'bucket_definitions: {}\n', []],
  [
    'ya-38 an alias for the list of data',
    'bucket_definitions:\n  d: { data: &l [SELECT id FROM t] }\n  e: { data: *l }\n',
    [],
  ],
  [
    'st-77 a key that comes twice',
    'config: { edition: 3 }\nstreams:\n  s: { query: SELECT id FROM t }\n  s: { query: SELECT id FROM t }\n',
    ['yaml-syntax'],
  ],
  ['bd-26 priority 4', 'bucket_definitions:\n  d: { data: [], priority: 4 }\n', ['wrong-value@4']],
  ['bd-35 a parameter not used', bucket('SELECT id FROM t', USER), ['uncovered-parameters@SELECT id FROM t']],
  [
    'bd-36 a parameter not declared',
    bucket('SELECT id FROM t WHERE a = bucket.u AND b = bucket.w', USER),
    ['uncovered-parameters'],
  ],
  ['bd-38 a parameter behind >', bucket('SELECT id FROM t WHERE n > bucket.u', USER), ['parameter-misplaced@bucket.u']],
  [
    'bd-41 two arrays',
    bucket(MATCH, "SELECT id AS u FROM m WHERE a IN request.jwt() -> 'a' AND b IN request.jwt() -> 'b'"),
    ['too-many-arrays'],
  ],
  [
    'bd-44 an alias in a parameter query',
    bucket(MATCH, 'SELECT id AS u FROM m AS x WHERE o = request.user_id()'),
    ['table-alias'],
  ],
  [
    'bd-47 a parameter of the client',
    bucket(MATCH, "SELECT request.parameters() ->> 'u' AS u WHERE request.user_id() = 'x'"),
    ['dangerous-parameters'],
  ],
  [
    'bd-50 protected by the condition',
    bucket(MATCH, "SELECT id AS u FROM m WHERE o = request.user_id() AND p = request.parameters() ->> 'p'"),
    [],
  ],
  ['xb-02 the name behind an alias', bucket('SELECT t.id FROM t AS x'), ['unknown-table-name@t.id']],
  ['xb-03 a function of streams', bucket(MATCH, 'SELECT auth.user_id() AS u'), ['unknown-function']],
  [
    'xb-11 operators over the request',
    bucket(MATCH, "SELECT request.user_id() || 'x' AS u WHERE upper(request.jwt() ->> 'r') = 'A'"),
    [],
  ],
  [
    'xb-14 OR needs the same parameters',
    bucket('SELECT id FROM t WHERE a = bucket.u OR (a = bucket.u AND b = bucket.v)', TWO),
    ['or-different-parameters'],
  ],
  [
    'vf-07 a match or a condition on the row',
    bucket('SELECT id FROM t WHERE a = bucket.u OR b = 1', USER),
    ['or-different-parameters'],
  ],
  [
    'vf-08 a parameter with a parameter',
    bucket('SELECT id FROM t WHERE bucket.u = bucket.v', TWO),
    ['parameter-misplaced'],
  ],
  [
    'vf-10 the same in a parameter query',
    bucket(MATCH, 'SELECT id AS u FROM m WHERE o = request.user_id() OR p = 1'),
    ['or-different-parameters'],
  ],
  [
    'al-05 OR inside a query inside',
    stream('SELECT id FROM t WHERE a IN (SELECT x FROM m WHERE o = auth.user_id() OR o = 1)', 2),
    ['old-edition', 'or-in-subquery', 'subquery-without-request'],
  ],
  ['al-11 an id is needed', stream('SELECT a FROM t', 2), ['missing-id', 'old-edition']],
  ['st-38 no id is needed', stream('SELECT a FROM t'), []],
  ['st-44 a list in parentheses', stream("SELECT id FROM t WHERE a IN ('a', 'b')"), ['in-list']],
  ['st-47 neither query nor queries', 'config: { edition: 3 }\nstreams:\n  s: { priority: 1 }\n', ['query-or-queries']],
  ['st-50 columns of two tables', stream('SELECT t.id, u.x FROM t JOIN u ON t.a = u.a'), ['second-table-selected@u.x']],
  ['st-53 a parameter behind >', stream('SELECT id FROM t WHERE a > auth.user_id()'), ['mixed-sources@auth.user_id()']],
  ['st-56 NOT IN a query', stream('SELECT id FROM t WHERE a NOT IN (SELECT b FROM u)'), ['mixed-sources']],
  [
    'st-59 a function of bucket definitions',
    stream('SELECT id FROM t WHERE a = request.user_id()'),
    ['unknown-function'],
  ],
  ['st-62 a second statement', stream('SELECT id FROM t; SELECT id FROM u'), ['second-statement']],
  [
    'st-80 a table expression of two columns',
    'config: { edition: 3 }\nwith: { c: "SELECT a, b FROM m" }\nstreams:\n  s: { query: SELECT id FROM t WHERE a IN c }\n',
    ['one-column-needed@c'],
  ],
  ['xs-04 two sources of one name', stream('SELECT a.id FROM t AS a JOIN u AS a ON a.x = a.y'), ['duplicate-source']],
  [
    'xs-07 only parameters of the client',
    stream("SELECT id FROM t WHERE a = subscription.parameter('a') AND b = connection.parameter('b')"),
    ['dangerous-parameters@subscription.parameter('],
  ],
  [
    'xs-13 the legacy pseudo-tables',
    stream('SELECT id FROM t WHERE a = token_parameters.user_id'),
    ['unknown-table-name'],
  ],
  ['xs-16 a query as an output', stream('SELECT id, (SELECT 1) AS x FROM t'), ['unsupported-expression']],
  ['xs-28 an equality of mixed sides', stream('SELECT t.id FROM t JOIN u ON t.a || u.a = u.b'), ['mixed-sources']],
];

test.each(CASES)('%s', (_, yaml, wanted) => {
  const { diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public' });
  const found = diagnostics.map(({ code, text }) => ({ code, text })).sort((a, b) => (a.code < b.code ? -1 : 1));
  expect(found.map(({ code }) => code)).toEqual(wanted.map((each) => each.split('@')[0]));
  for (const [index, each] of wanted.entries()) {
    const [, text] = each.split('@');
    if (text !== undefined) expect(found[index]?.text).toContain(text);
  }
});

test.each([
  ['sc-02 an unknown column', bucket('SELECT id, nme FROM t'), 'unknown-column@nme'],
  ['sc-05 an unknown table', stream('SELECT id FROM tt'), 'unknown-table@tt'],
  ['sc-05 an unknown column', stream('SELECT id, nme FROM t'), 'unknown-column@nme'],
])('%s', (_, yaml, wanted) => {
  const { diagnostics, rules } = parseSyncRules(yaml, { defaultSchema: 'public', schema });
  expect(diagnostics.map(({ code, text }) => `${code}@${text}`)).toEqual([wanted]);
  expect(rules).not.toBeNull();
});
