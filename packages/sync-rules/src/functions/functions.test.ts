import { describe, expect, test } from 'vitest';
import type { JsonMode } from '../json-path.ts';
import type { Value } from '../value.ts';
import { jsonEach } from './json-each.ts';
import { scalarFunctions } from './table.ts';

function call(name: string, args: readonly Value[], mode: JsonMode = 'fixed'): Value {
  const entry = scalarFunctions.get(name);
  if (entry === undefined) throw new Error(`no function ${name}`);
  return entry.call(args, mode);
}

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

test('case and length', () => {
  expect(call('upper', ['Straße İx'])).toBe('STRASSE İX');
  expect(call('length', ['Straße İx'])).toBe(9n);
  expect(call('length', [2.5])).toBe(3n);
  expect(call('length', [bytes('48c3a9')])).toBe(3n);
  expect(call('lower', [bytes('48c3a9')])).toBe('hé');
  expect(call('upper', [null])).toBeNull();
  expect(call('upper', [])).toBeNull();
});

describe('substring of abcdef', () => {
  test.each<[Value[], Value]>([
    [[2n], 'bcdef'],
    [[2n, 3n], 'bcd'],
    [[0n], 'abcdef'],
    [[0n, 2n], 'a'],
    [[-3n], 'def'],
    [[-3n, 2n], 'de'],
    [[4n, -2n], 'bc'],
    [[9n, 3n], ''],
    [[null], null],
    [[1n, null], null],
    [['2x', 1n], 'b'],
    [[2.9, 1n], 'b'],
    [[1n, 99n], 'abcdef'],
    [[-99n, 2n], 'ab'],
  ])('%o', (args, result) => expect(call('substring', ['abcdef', ...args])).toBe(result));
});

test('instr', () => {
  expect(call('instr', ['banana', 'n'])).toBe(3n);
  expect(call('instr', ['banana', ''])).toBe(1n);
  expect(call('instr', [123n, 3n])).toBe(3n);
  expect(call('instr', [bytes('010203'), bytes('03')])).toBe(3n);
  expect(call('instr', ['x', null])).toBeNull();
});

test('bytes as text', () => {
  expect(call('hex', ['hé'])).toBe('68C3A9');
  expect(call('hex', [null])).toBe('');
  expect(call('base64', [bytes('00ff10')])).toBe('AP8Q');
  expect(call('base64', [10n])).toBe('MTA=');
  expect(call('hex', [call('uuid_blob', ['0f8fad5b-d9cb-469f-a165-70867728950e'])])).toBe(
    '0F8FAD5BD9CB469FA16570867728950E',
  );
  expect(() => call('uuid_blob', ['nope'])).toThrow('UUID');
});

test('choices', () => {
  expect(call('ifnull', [null, undefined, 'd'])).toBe('d');
  expect(call('ifnull', [null, null])).toBeNull();
  expect(call('iif', ['2abc', 'y', 'z'])).toBe('y');
  expect(call('iif', ['0.5', 'y', 'z'])).toBe('z');
  expect(call('typeof', [undefined])).toBe('null');
  expect(call('typeof', [1])).toBe('real');
});

test('JSON', () => {
  expect(call('json_array_length', ['[1,2,3]'])).toBe(3n);
  expect(call('json_array_length', ['{"l":[1]}'])).toBe(0n);
  expect(call('json_array_length', ['{"l":[1]}', '$.l'])).toBe(1n);
  expect(call('json_array_length', [null])).toBeNull();
  expect(() => call('json_array_length', ['x'])).toThrow('not JSON');
  expect([call('json_valid', ['[1]']), call('json_valid', ['x']), call('json_valid', [null])]).toEqual([1n, 0n, 0n]);
  expect(call('json_valid', [7n])).toBe(1n);
  expect(call('json_keys', ['{"l":[1],"z":2,"1":3}'])).toBe('["1","l","z"]');
  expect(() => call('json_keys', ['[1]'])).toThrow('object');
});

describe('datetime', () => {
  test.each<[Value[], Value]>([
    [['2024-02-29T10:11:12.345Z'], '2024-02-29 10:11:12'],
    [['2024-02-29 10:11:12.345', 'subsec'], '2024-02-29 10:11:12.345'],
    [['2024-02-29T23:00:00-02:00'], '2024-03-01 01:00:00'],
    [['2024-02-29 23:00:00+00'], '2024-02-29 23:00:00'],
    [[0n, 'unixepoch'], '1970-01-01 00:00:00'],
    [[1.5, 'unixepoch', 'subsec'], '1970-01-01 00:00:01.500'],
    [[2460000.5], '2023-02-25 00:00:00'],
    [['2460000.5'], '2023-02-25 00:00:00'],
    [['2024-02-29'], '2024-02-29 00:00:00'],
    [['0099-01-01'], '0099-01-01 00:00:00'],
    [['garbage'], null],
    [[null], null],
    [['2024-02-29', 'start of month'], null],
    [[0n, 'unixepoch', 'x'], null],
    [['2024-02-29 10:11'], '2024-02-29 10:11:00'],
    [['2024-02-29 10:11:12.3456Z', 'subsecond'], '2024-02-29 10:11:12.345'],
    [[1e300], null],
  ])('%o', (args, result) => expect(call('datetime', args)).toBe(result));

  test.each<[Value[], Value]>([
    [['2024-02-29T10:11:12.345Z'], 1709201472n],
    [['2024-02-29T10:11:12.345Z', 'subsec'], 1709201472.345],
    [[12n, 'unixepoch'], 12n],
    [['1969-12-31T23:59:58.5Z'], -2n],
    [[2440588n], 43200n],
    [['2024-01-01', 'utc'], null],
  ])('unixepoch %o', (args, result) => expect(call('unixepoch', args)).toBe(result));
});

describe('geometry', () => {
  const point = '0101000020E6100000000000000000F83F0000000000000040';
  const line = '010200000002000000000000000000000000000000000000000000000000000840000000000000F03F';
  const pointZ = `01E9030000${'000000000000F03F'.repeat(3)}`;

  test('points and lines', () => {
    expect(call('st_astext', [point])).toBe('POINT(1.5 2)');
    expect(call('st_asgeojson', [point])).toBe('{"type":"Point","coordinates":[1.5,2.0]}');
    expect(call('st_x', [point])).toBe(1.5);
    expect(call('st_y', [bytes(point)])).toBe(2);
    expect(call('st_x', [null])).toBeNull();
    expect(call('st_astext', [line])).toBe('LINESTRING(0 0,3 1)');
    expect(call('st_x', [line])).toBeNull();
    expect(call('st_astext', [pointZ])).toBe('POINT Z(1 1 1)');
  });

  test('collections', () => {
    const collection = `010700000002000000${point}${line}`;
    expect(call('st_astext', [collection])).toBe('GEOMETRYCOLLECTION(POINT(1.5 2),LINESTRING(0 0,3 1))');
    expect(call('st_asgeojson', [collection])).toBe(
      '{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1.5,2.0]},' +
        '{"type":"LineString","coordinates":[[0.0,0.0],[3.0,1.0]]}]}',
    );
  });

  test.each(['', '00', 'zz', '0101', '0109000000', `01070000${'ff'.repeat(4)}`])('refuses %o', (hex) => {
    expect(() => call('st_astext', [hex])).toThrow(/geometry/);
  });
});

describe('json_each', () => {
  test('arrays, objects, scalars', () => {
    expect(jsonEach('["p1",7,true,{"a":1},[2],null]', 'fixed')).toEqual([
      { key: 0n, value: 'p1' },
      { key: 1n, value: 7 },
      { key: 2n, value: 1n },
      { key: 3n, value: '{"a":1.0}' },
      { key: 4n, value: '[2.0]' },
      { key: 5n, value: null },
    ]);
    expect(jsonEach('{"gate":"x"}', 'fixed')).toEqual([{ key: 'gate', value: 'x' }]);
    expect(jsonEach('"s"', 'fixed')).toEqual([{ key: null, value: 's' }]);
    expect(jsonEach('[null]', 'legacy')).toEqual([{ key: 0n, value: 'null' }]);
    expect(jsonEach(null, 'fixed')).toEqual([]);
  });
  test('refuses what is not JSON text', () => {
    expect(() => jsonEach(5n, 'fixed')).toThrow('JSON text');
    expect(() => jsonEach('{', 'fixed')).toThrow('JSON text');
  });
});
