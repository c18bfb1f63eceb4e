import { describe, expect, test } from 'vitest';
import { jsonArrow, jsonArrowText, jsonExtract } from './json-path.ts';
import { and, arithmetics, between, comparisons, inJsonArray, inList, is, not, or, overlaps } from './operators.ts';

test('comparisons know null', () => {
  expect(comparisons['='](2n, 2)).toBe(1n);
  expect(comparisons['='](2n, '2')).toBe(0n);
  expect(comparisons['<'](2n, '2')).toBe(1n);
  expect(comparisons['!='](null, 1n)).toBeNull();
  expect(comparisons['>='](2n, 2n)).toBe(1n);
  expect(comparisons['<='](2n, 1n)).toBe(0n);
});

test('logic is two-valued', () => {
  expect(and(null, 1n)).toBe(0n);
  expect(or(null, 0n)).toBe(0n);
  expect(not(null)).toBe(1n);
  expect(and('1', 0.1)).toBe(1n);
  expect(or('x', 0n)).toBe(0n);
});

test('IS compares nulls and is exact', () => {
  expect(is(null, undefined)).toBe(1n);
  expect(is(2n, 1n)).toBe(0n);
  expect(is(null, 0n)).toBe(0n);
});

test('BETWEEN', () => {
  expect(between(2n, 1n, 3)).toBe(1n);
  expect(between(2n, 3n, 1n)).toBe(0n);
  expect(between(2n, null, 3n)).toBeNull();
});

describe('IN', () => {
  test('a list', () => {
    expect(inList(2n, ['x', 2])).toBe(1n);
    expect(inList(2n, [5n, null])).toBeNull();
    expect(inList(2n, [5n])).toBe(0n);
    expect(inList(null, [1n])).toBeNull();
  });
  test('a JSON array', () => {
    expect(inJsonArray(2n, '[1,2,3]')).toBe(1n);
    expect(inJsonArray(1n, '[true]')).toBe(1n);
    expect(inJsonArray('[1,2.0]', '[[1,2.0]]')).toBe(1n);
    expect(inJsonArray('b', null)).toBeNull();
    expect(() => inJsonArray(1n, '{"a":1}')).toThrow('JSON array');
    expect(() => inJsonArray(1n, 'x')).toThrow('not JSON');
  });
  test('&&', () => {
    expect(overlaps('["a",2]', '[3,2]')).toBe(1n);
    expect(overlaps('[1]', '[2]')).toBe(0n);
    expect(overlaps(null, '[2]')).toBeNull();
  });
});

describe('arithmetic', () => {
  test.each([
    ['+', '3.5x', 1n, 4.5],
    ['+', '3', '4', 7n],
    ['+', 9223372036854775807n, 1n, 9223372036854775808n],
    ['+', 7n, null, null],
    ['*', 1.5, 2n, 3],
    ['/', 7n, 2n, 3n],
    ['/', -7n, 2n, -3n],
    ['/', 7n, 0n, null],
    ['/', 1.5, 0, null],
    ['%', 5n, 3n, 2n],
    ['%', 5n, 0n, null],
    ['&', 5n, 3n, 1n],
    ['|', 5n, 8n, 13n],
    ['<<', 5n, 1n, 10n],
    ['>>', 5n, 1n, 2n],
    ['<<', 1n, 1000n, 0n],
    ['||', 7n, 2, '72'],
    ['||', 'x', null, null],
  ] as const)('%s', (operator, left, right, result) => expect(arithmetics[operator](left, right)).toBe(result));
});

describe('JSON paths', () => {
  const json = '{"a.b":"flat","a":{"b":"deep"},"l":[10,20.0],"nul":null,"t":true,"big":9007199254740993}';
  test('a dot separates in legacy mode only', () => {
    expect(jsonArrowText(json, 'a.b', 'legacy')).toBe('deep');
    expect(jsonArrowText(json, 'a.b', 'fixed')).toBe('flat');
    expect(jsonArrowText(json, '$.a.b', 'fixed')).toBe('deep');
  });
  test('JSON null', () => {
    expect(jsonArrowText(json, 'nul', 'fixed')).toBeNull();
    expect(jsonArrow(json, 'nul', 'fixed')).toBe('null');
    expect(jsonArrowText(json, 'nul', 'legacy')).toBe('null');
    expect(jsonArrow(json, 'nul', 'legacy')).toBeNull();
  });
  test('kinds', () => {
    expect(jsonArrowText(json, '$.l.1', 'fixed')).toBe(20);
    expect(jsonArrow(json, '$.l.1', 'fixed')).toBe('20.0');
    expect(jsonArrowText(json, 't', 'fixed')).toBe(1n);
    expect(jsonArrowText(json, 'big', 'fixed')).toBe(9007199254740993n);
    expect(jsonArrowText(json, 'l', 'fixed')).toBe('[10,20.0]');
    expect(jsonArrowText(json, 'missing', 'fixed')).toBeNull();
    expect(jsonArrowText(json, '$.nul.x', 'fixed')).toBeNull();
  });
  test('arrays', () => {
    expect(jsonArrowText('[10,"x"]', 1n, 'fixed')).toBe('x');
    expect(jsonArrowText('[10,"x"]', '$[1]', 'fixed')).toBe('[10,"x"]');
    expect(jsonArrowText('[10,"x"]', 'length', 'fixed')).toBe(2);
  });
  test('inherited names are absent', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      expect(jsonArrowText('{}', name, 'fixed')).toBeUndefined();
      expect(jsonArrow('{}', name, 'legacy')).toBeUndefined();
    }
  });
  test('json_extract wants a $', () => {
    expect(jsonExtract(json, '$.a.b', 'legacy')).toBe('deep');
    expect(() => jsonExtract(json, 'a', 'fixed')).toThrow('$');
    expect(jsonExtract(null, '$', 'fixed')).toBeNull();
  });
  test('text that is not JSON throws', () => expect(() => jsonArrow('not json', 'a', 'fixed')).toThrow('not JSON'));
});
