import { describe, expect, test } from 'vitest';
import { cpuTimed } from '../test-cpu-time.ts';
import type { Expression, SelectStatement } from './ast.ts';
import { parseSql } from './parser.ts';

function select(sql: string): SelectStatement {
  const parsed = parseSql(sql);
  if (!parsed.ok) throw new Error(parsed.message);
  if (parsed.statement.kind !== 'select') throw new Error(parsed.statement.keyword);
  return parsed.statement;
}

function where(condition: string): Expression {
  const { where } = select(`SELECT WHERE ${condition}`);
  if (where === null) throw new Error('no condition');
  return where;
}

/** Fully parenthesised form. */
function shape(node: Expression): string {
  switch (node.kind) {
    case 'literal':
      return typeof node.value === 'string' ? `'${node.value}'` : String(node.value);
    case 'column':
      return [node.schema, node.table, node.column].flatMap((part) => part?.name ?? []).join('.');
    case 'call':
      return `${node.schema === null ? '' : `${node.schema.name}.`}${node.name.name}(${node.args.map(shape).join(', ')})`;
    case 'binary':
      return `(${shape(node.left)} ${node.operator} ${shape(node.right)})`;
    case 'logical':
      return `(${node.operands.map(shape).join(` ${node.operator} `)})`;
    case 'unary':
      return `(${node.operator} ${shape(node.operand)})`;
    case 'is':
      return `(${shape(node.operand)} IS ${node.negated ? 'NOT ' : ''}${node.test})`;
    case 'in':
      return `(${shape(node.operand)} ${node.negated ? 'NOT ' : ''}IN ${shape(node.right)})`;
    case 'between':
      return `(${shape(node.operand)} ${node.negated ? 'NOT ' : ''}BETWEEN ${shape(node.low)} AND ${shape(node.high)})`;
    case 'case':
      return `CASE ${node.operand === null ? '' : shape(node.operand)}|${node.whens.map(({ when, result }) => `${shape(when)}:${shape(result)}`).join('|')}|${node.otherwise === null ? '' : shape(node.otherwise)}`;
    case 'cast':
      return `${shape(node.operand)}::${node.type.name}${node.type.array ? '[]' : ''}`;
    case 'array':
    case 'row':
    case 'list':
      return `${node.kind}[${node.items.map(shape).join(', ')}]`;
    case 'subquery':
      return '(SELECT)';
    case 'bound':
      return node.text;
    case 'unsupported':
      return `<${node.construct}>`;
  }
}

describe('expressions', () => {
  test.each([
    ['a = 1 AND b = 2 OR c', '(((a = 1) AND (b = 2)) OR c)'],
    ['a AND (b AND c) AND d', '(a AND b AND c AND d)'],
    ['NOT a = 1', '(NOT (a = 1))'],
    ['NOT NOT a', '(NOT (NOT a))'],
    ['a <> -1 + 2 * -x', '(a != (-1 + (2 * (- x))))'],
    ['a - 1', '(a - 1)'],
    ['a -1', '(a - 1)'],
    ["request.jwt() ->> 'lvl' > 3", "((request.jwt() ->> 'lvl') > 3)"],
    ["'a' || j -> 'b' ->> 'c'", "('a' || ((j -> 'b') ->> 'c'))"],
    ["h IN request.parameters() ->> 'hs'", "(h IN (request.parameters() ->> 'hs'))"],
    ['x NOT IN (SELECT y FROM t)', '(x NOT IN (SELECT))'],
    ["x IN ('a', 'b')", "(x IN list['a', 'b'])"],
    ["x IN ('a')", "(x IN 'a')"],
    ['x IN ARRAY[1, 2.0] AND y IN ROW(1)', '((x IN array[1, 2]) AND (y IN row[1]))'],
    ['x BETWEEN 1 AND 2 AND y NOT BETWEEN 3 AND 4', '((x BETWEEN 1 AND 2) AND (y NOT BETWEEN 3 AND 4))'],
    ['a IS NOT TRUE = b', null],
    ['a = b IS NULL', '((a = b) IS NULL)'],
    ['a ISNULL OR b NOTNULL', '((a IS NULL) OR (b IS NOT NULL))'],
    ['CASE a WHEN 1 THEN 2 ELSE 3 END', 'CASE a|1:2|3'],
    ['CAST(a AS double precision)::varchar(10)[]', 'a::double precision::varchar[]'],
    ["a::text ->> 'k'::text", "(a::text ->> 'k')::text"],
    ['substring(s from 2 for 3)', 'substring(s, 2, 3)'],
    ["s NOT LIKE 'a%'", "(s NOT LIKE 'a%')"],
    ['a && b', '(a && b)'],
    ['t."Some Col" = "T"."x""y"', '(t.Some Col = T.x"y)'],
    ["'it''s' = X", "('it's' = x)"],
    ['k = $1', '(k = $1)'],
    ['a[1]', '<array subscripts>'],
    ['current_date', 'current_date()'],
    ['/* c */ a -- d\n = 1', '(a = 1)'],
  ])('%s', (sql, expected) => {
    if (expected === null) expect(parseSql(`SELECT WHERE ${sql}`).ok).toBe(false);
    else expect(shape(where(sql))).toBe(expected);
  });

  test('ranges leave grouping parentheses out', () => {
    const sql = 'SELECT id FROM t WHERE (a = 1 OR (b) = 2) AND upper( x )';
    const condition = select(sql).where;
    expect(condition?.kind).toBe('logical');
    expect(sql.slice(condition?.start, condition?.end)).toBe('a = 1 OR (b) = 2) AND upper( x )');
  });
});

describe('statements', () => {
  test('sources, aliases and joins', () => {
    const sql =
      'SELECT a.*, x AS "Y" FROM "s.q"."T_%" AS a JOIN json_each(a.j) e ON e.value = 1, (SELECT 1 AS id) q (n) LEFT JOIN b USING (id)';
    const statement = select(sql);
    expect(statement.items.map((item) => sql.slice(item.start, item.end))).toEqual(['a.*', 'x']);
    expect(statement.from.map(({ source }) => sql.slice(source.start, source.end))).toEqual([
      '"s.q"."T_%" AS a',
      'json_each(a.j)',
      '(SELECT 1 AS id)',
      'b',
    ]);
    expect(statement.from.map(({ join }) => join?.type ?? null)).toEqual([null, 'INNER', null, 'LEFT']);
    const on = statement.from[1]?.join?.onRange;
    expect(sql.slice(on?.start, on?.end)).toBe('ON e.value = 1');
  });

  test('unsupported clauses point at their first operand', () => {
    const sql = 'SELECT id FROM t GROUP BY a, b ORDER BY c DESC LIMIT 5';
    expect(select(sql).extraClauses.map(({ range }) => sql.slice(range.start, range.end))).toEqual(['a', 'c', '5']);
  });

  test('other statements and second statements', () => {
    expect(parseSql('DELETE FROM t')).toMatchObject({ statement: { kind: 'other', keyword: 'DELETE', end: 13 } });
    expect(parseSql('SELECT 1 UNION SELECT 2')).toMatchObject({ statement: { keyword: 'UNION', start: 0, end: 23 } });
    expect(parseSql('SELECT id FROM t; SELECT id FROM u')).toMatchObject({ trailing: { start: 18, end: 34 } });
    expect(parseSql('SELECT id FROM t;')).toMatchObject({ trailing: null });
  });

  test.each([
    ['SELECT id FORM t', 't'],
    ['SELECT id FROM', ''],
    ["SELECT 'open", "'open"],
    ['SELECT 1e3 AS x', 'e3'],
    ['SELECT a b c', 'c'],
    ['SELECT (a', ''],
    ['HELLO', 'HELLO'],
    ['', ''],
    ['SELECT a ; ;; ', null],
    ['SELECT \u{1F600}', '\u{1F600}'],
    ['SELECT /* open', '/* open'],
  ])('syntax error in %s', (sql, covered) => {
    const parsed = parseSql(sql);
    if (covered === null) expect(parsed.ok).toBe(true);
    else expect(parsed.ok ? null : sql.slice(parsed.range.start, parsed.range.end)).toBe(covered);
  });
});

describe('hostile input', () => {
  function milliseconds(sql: string): { ms: number; ok: boolean } {
    const { result, cpuMs } = cpuTimed(() => parseSql(sql));
    return { ms: cpuMs, ok: result.ok };
  }

  test('long flat chains parse in linear time', () => {
    const chain = (length: number): string =>
      `SELECT id FROM t WHERE ${Array.from({ length }, (_, index) => `c${index} = ${index}`).join(' OR ')}`;
    milliseconds(chain(2000));
    const short = milliseconds(chain(2000));
    const long = milliseconds(chain(32_000));
    expect(short.ok && long.ok).toBe(true);
    expect(short.ms).toBeLessThan(2000);
    expect(long.ms).toBeLessThan(Math.max(50, short.ms * 16) * 20);
  });

  test.each([
    ['parentheses', `SELECT ${'('.repeat(3000)}1${')'.repeat(3000)}`],
    ['open parentheses', `SELECT ${'('.repeat(100_000)}`],
    ['NOT', `SELECT ${'NOT '.repeat(50_000)}1`],
    ['minus', `SELECT ${'- '.repeat(50_000)}x`],
    ['concatenation', `SELECT ${'a || '.repeat(50_000)}a`],
    ['casts', `SELECT a${'::text'.repeat(50_000)}`],
    ['subqueries', `SELECT ${'(SELECT '.repeat(5000)}`],
    ['calls', `SELECT ${'f('.repeat(5000)}`],
    ['alternating chains', `SELECT ${'a AND (b OR ('.repeat(5000)}`],
    ['open comments', `SELECT ${'/*'.repeat(100_000)}`],
    ['quotes', `SELECT ${"''".repeat(100_000)}'`],
    ['digits', `SELECT ${'9'.repeat(500_000)}`],
  ])('%s end in an error at once', (_, sql) => {
    const { ms, ok } = milliseconds(sql);
    expect(ok).toBe(false);
    expect(ms).toBeLessThan(5000);
  });
});
