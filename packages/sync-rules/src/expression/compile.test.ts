import { describe, expect, test } from 'vitest';
import type { Edition } from '../compatibility.ts';
import { parseSql } from '../sql/parser.ts';
import type { Value } from '../value.ts';
import { buildPlan } from './build.ts';
import { compilePlan } from './compile.ts';
import { type Plan, planText } from './plan.ts';

type Row = Readonly<Record<string, Value>>;

function plan(sql: string, edition: Edition): { plan: Plan<string> | null; problems: string[] } {
  const parsed = parseSql(`SELECT ${sql}`);
  if (!parsed.ok || parsed.statement.kind !== 'select') throw new Error(`no expression: ${sql}`);
  const [item] = parsed.statement.items;
  if (item?.kind !== 'expression') throw new Error(`no expression: ${sql}`);
  const problems: string[] = [];
  const built = buildPlan<string>(item.expression, {
    edition,
    mode: 'fixed',
    allowsInJson: true,
    column: (node) => ({ op: 'input', input: node.column.name }),
    call: () => undefined,
    report: (code, { start, end }) => problems.push(`${code}: ${`SELECT ${sql}`.slice(start, end)}`),
  });
  return { plan: built, problems };
}

function evaluate(sql: string, row: Row = {}, edition: Edition = 3): Value {
  const { plan: built, problems } = plan(sql, edition);
  if (built === null) throw new Error(problems.join());
  return compilePlan<string, Row>(built, (name) => (context) => context[name])(row);
}

test.each([
  ['1 + 2 * 3', {}, 7n],
  ['7 / 2', {}, 3n],
  ['a || 1', { a: 'x' }, 'x1'],
  ['a = 1 AND b', { a: 1n, b: 'true' }, 0n],
  ['a OR b OR c', { c: 2n }, 1n],
  ['NOT a', {}, 1n],
  ['a IS NULL', {}, 1n],
  ['a IS NOT NULL', {}, 0n],
  ['a IS TRUE', { a: 2n }, 0n],
  ['a IN ARRAY[1, null]', { a: 2n }, null],
  ['a NOT IN ARRAY[1, 2]', { a: 3n }, 1n],
  ["a IN '[1,2]'", { a: 2 }, 1n],
  ['a BETWEEN 1 AND 3', { a: 3n }, 1n],
  ['a NOT BETWEEN 1 AND 3', { a: 3n }, 0n],
  ["CASE a WHEN 1 THEN 'x' ELSE 'y' END", { a: 1n }, 'x'],
  ["CASE WHEN a THEN 'x' END", {}, null],
  ["CASE WHEN 1 THEN 'x' ELSE j ->> 'a' END", { j: 'no json' }, 'x'],
  ["j ->> '$.a.b'", { j: '{"a":{"b":2}}' }, 2n],
  ['UPPER(a) || substring(a from 2 for 1)', { a: 'abc' }, 'ABCb'],
  ["a::integer + CAST('2.5' AS numeric)", { a: '4x' }, 6.5],
  ['+a', { a: 'x' }, 'x'],
  ['a % 2', { a: 7n }, 1n],
] as const)('%s', (sql, row, expected) => {
  expect(evaluate(sql, row)).toBe(expected);
});

test('both sides of AND and OR are evaluated, whatever the first says', () => {
  expect(() => evaluate("0 AND j ->> 'a'", { j: 'no json' })).toThrow('JSON');
  expect(() => evaluate("1 OR j ->> 'a'", { j: 'no json' })).toThrow('JSON');
});

test('null != 1 is null in editions 1 and 2, and 1 in edition 3', () => {
  expect(evaluate('a != 1', {}, 2)).toBe(null);
  expect(evaluate('a != 1', {}, 3)).toBe(1n);
});

describe('what an edition does not have', () => {
  test.each([
    ['coalesce(a, 1)', 'unknown-function: coalesce(a, 1)', 'unknown-function: coalesce'],
    ['json_valid(a)', null, 'unknown-function: json_valid'],
    ['upper()', null, 'wrong-argument-count: upper()'],
    ['a::varchar', 'unsupported-cast: a::varchar', 'unsupported-cast: varchar'],
    ['a ->> 1', 'json-path-not-text: a ->> 1', null],
    ['a BETWEEN 1 AND 2', 'unsupported-expression: a BETWEEN 1 AND 2', null],
    ['a IS TRUE', 'unsupported-expression: a IS TRUE', null],
    ['a IN ARRAY[1]', 'unsupported-expression: ARRAY[1]', null],
    ["a IN ('x', 'y')", "in-list: 'x', 'y'", "in-list: 'x', 'y'"],
    ["a LIKE 'x'", "unsupported-expression: a LIKE 'x'", "unsupported-expression: a LIKE 'x'"],
    ['-a', 'unsupported-expression: -a', 'unsupported-expression: -a'],
    ['a % 2', 'unsupported-expression: a % 2', null],
    ['(SELECT 1)', 'unsupported-expression: SELECT 1', 'unsupported-expression: SELECT 1'],
    ['a = $1', 'unsupported-expression: $1', 'unsupported-expression: $1'],
    ['upper(a) OVER (ORDER BY b)', 'unsupported-expression: upper(a)', 'unsupported-expression: upper(a)'],
  ] as const)('%s', (sql, before, since) => {
    expect(plan(sql, 2).problems).toEqual(before === null ? [] : [before]);
    expect(plan(sql, 3).problems).toEqual(since === null ? [] : [since]);
  });
});

test('equal plans have equal texts, others different ones', () => {
  const text = (sql: string): string => {
    const { plan: built } = plan(sql, 3);
    return built === null ? '' : planText(built, (name) => name);
  };
  expect(text('a = 1 AND (b = 2 AND c)')).toBe(text('(a=1) and b = 2 AND "c"'));
  const texts = ['a', "'a'", '1', '1.0', "'1'", 'null', "'null'", 'a + 1', 'a - 1', 'a -> 1', 'a ->> 1', 'upper(a)'];
  const more = [
    'lower(a)',
    'a::text',
    'a::real',
    'NOT a',
    'a IS NULL',
    'a AND b',
    'a OR b',
    'b OR a',
    'a IN ARRAY[b]',
    'a IN b',
  ];
  const all = [...texts, ...more, 'CASE a WHEN b THEN c END', 'CASE WHEN a THEN b ELSE c END'];
  expect(new Set(all.map(text)).size).toBe(all.length);
});
