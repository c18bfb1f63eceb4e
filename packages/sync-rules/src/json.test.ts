import { describe, expect, test } from 'vitest';
import { bigJson, bigParse, bucketJson, fromPlainJson, jsonString, valueJson } from './json.ts';

describe('writing', () => {
  test.each([
    [3, '3.0'],
    [1e21, '1e+21'],
    [-0, '0.0'],
    [1e-7, '1e-7'],
    [123456789012345680000, '123456789012345680000.0'],
    [0.1, '0.1'],
    [9223372036854775808n, '9223372036854775808'],
    [true, 'true'],
    [null, 'null'],
    [Number.POSITIVE_INFINITY, 'null'],
    [Number.NaN, 'null'],
    [[1n, undefined, 'x'], '[1,null,"x"]'],
    [{ a: 1n, b: undefined, c: { d: [1] } }, '{"a":1,"c":{"d":[1.0]}}'],
  ])('%s', (value, text) => expect(bigJson(value)).toBe(text));

  test('bucket names show a whole real and an integer alike', () => {
    expect(bucketJson(['home', 7, 7n, 1.5, true, null])).toBe('["home",7,7,1.5,true,null]');
  });

  test('strings are escaped as JSON.stringify does', () => {
    for (const text of ['', 'plain', '😀\u0001"\\/\u2028\n', '\ud83d', 'é', '\u007f\u2029']) {
      expect(jsonString(text)).toBe(JSON.stringify(text));
    }
  });

  test('a synced column has no text for blobs and absent values', () => {
    expect(valueJson(new Uint8Array(1))).toBeUndefined();
    expect(valueJson(undefined)).toBeUndefined();
    expect(valueJson(null)).toBe('null');
    expect(valueJson(2)).toBe('2.0');
  });
});

describe('reading', () => {
  test('integers are exact, other numbers reals', () => {
    expect(bigParse(' [9007199254740993, -0, 1.0, 1e2, -5] ')).toEqual([9007199254740993n, 0n, 1, 100, -5n]);
  });

  test('the same text comes back', () => {
    const text = '{"a":1,"b":[1.5,2.0,{"c":null}],"s":"q\\"x\\\\","t":true,"f":false,"e":{},"l":[]}';
    expect(bigJson(bigParse(text))).toBe(text);
  });

  test('a __proto__ key is a key like any other', () => {
    const parsed = bigParse('{"__proto__":{"x":1}}');
    expect(Object.getPrototypeOf(parsed)).toBeNull();
    expect(bigJson(parsed)).toBe('{"__proto__":{"x":1}}');
  });

  test.each([
    '',
    ' ',
    '{',
    '[1,]',
    '{"a":}',
    "{'a':1}",
    '01',
    '1 2',
    'nul',
    '"a\u0001"',
    '"\\x"',
    '"a',
    '{"a" 1}',
    'NaN',
    '-',
  ])('refuses %j', (text) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(() => bigParse(text)).toThrow('not JSON');
  });

  test('agrees with JSON.parse on strings', () => {
    for (const text of ['"\\u00e9\\n\\\\"', '"\\\\"', '"\\\\\\""', '"😀"'])
      expect(bigParse(text)).toBe(JSON.parse(text));
  });

  test('deep nesting is an error, not a crash', () => {
    expect(() => bigParse('['.repeat(100_000))).toThrow('nests deeper');
  });
});

test('plain JSON numbers are reals', () => {
  expect(bigJson(fromPlainJson({ n: 3, l: [1.5, { x: true }] }))).toBe('{"n":3.0,"l":[1.5,{"x":true}]}');
});
