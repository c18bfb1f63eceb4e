import { describe, expect, test } from 'vitest';
import { compare, isTrue, normaliseParam, toBlob, toInteger, toNumeric, toReal, toText, typeOf } from './value.ts';

const bytes = (...values: number[]) => new Uint8Array(values);

describe('truth', () => {
  test.each([
    ['0.5', false],
    ['2abc', true],
    [' 3', true],
    ['-1', true],
    ['', false],
    ['true', false],
    ['0', false],
    [0.5, true],
    [-0, false],
    [Number.NaN, false],
    [2n, true],
    [0n, false],
    [null, false],
    [undefined, false],
    [bytes(0x31), false],
  ])('%o is %s', (value, truth) => expect(isTrue(value)).toBe(truth));
});

describe('order', () => {
  test('numbers mix exactly, also above 2^53', () => {
    expect(compare(2n, 2)).toBe(0);
    expect(compare(9007199254740993n, 9007199254740992)).toBeGreaterThan(0);
    expect(compare(1n, 1.5)).toBeLessThan(0);
  });
  test('numbers stand before text, text before blobs', () => {
    expect(compare(2n, '2')).toBeLessThan(0);
    expect(compare('z', bytes(1))).toBeLessThan(0);
    expect(compare(bytes(1), 5)).toBeGreaterThan(0);
  });
  test('text goes by code units', () => expect(compare('B', 'a')).toBeLessThan(0));
  test('null has no order', () => {
    expect(compare(null, 1n)).toBeNull();
    expect(compare('a', undefined)).toBeNull();
    expect(compare(null, null)).toBeNull();
  });
  test('NaN equals nothing', () => expect(compare(Number.NaN, Number.NaN)).toBeNaN());
  test('two blobs throw', () => expect(() => compare(bytes(1), bytes(1))).toThrow('blobs'));
});

describe('casts', () => {
  test.each([
    ['12.75kg', 12n],
    ['1e3', 1n],
    ['  -12abc', -12n],
    ['+7', 7n],
    ['x', 0n],
    [3.99, 3n],
    [-3.2, -4n],
    [bytes(0x34, 0x32), 42n],
    [Number.POSITIVE_INFINITY, 9223372036854775807n],
    [null, null],
    [undefined, null],
  ])('%o as integer', (value, result) => expect(toInteger(value)).toBe(result));
  test.each([
    ['12.75kg', 12.75],
    ['zz', 0],
    ['1e3x', 1000],
    [9007199254740993n, 9007199254740992],
    [null, null],
  ])('%o as real', (value, result) => expect(toReal(value)).toBe(result));
  test.each([
    ['+5', 5n],
    ['1.50', 1.5],
    ['.5', 0.5],
    ['1e3', 1000],
    ['', 0n],
    ['-9007199254740993', -9007199254740993n],
    [2.5, 2.5],
  ])('%o as numeric', (value, result) => expect(toNumeric(value)).toBe(result));
  test.each([
    [6, '6'],
    [3.99, '3.99'],
    [1e21, '1e+21'],
    [42n, '42'],
    [bytes(0x68, 0xc3, 0xa9), 'hé'],
    [null, null],
  ])('%o as text', (value, result) => expect(toText(value)).toBe(result));
  test('blob of a number is its text', () => expect(toBlob(42n)).toEqual(bytes(0x34, 0x32)));
});

test('whole reals become integers as index keys', () => {
  expect(normaliseParam(5)).toBe(5n);
  expect(normaliseParam(-0)).toBe(0n);
  expect(normaliseParam(5.5)).toBe(5.5);
  expect(normaliseParam('5')).toBe('5');
  expect(normaliseParam(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
});

test('type names', () => {
  expect([null, undefined, 1n, 1, '', bytes()].map(typeOf)).toEqual([
    'null',
    'null',
    'integer',
    'real',
    'text',
    'blob',
  ]);
});
