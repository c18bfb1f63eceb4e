import type { ColumnType } from '@sluice/core';
import { describe, expect, test } from 'vitest';
import { valueJson } from '../json.ts';
import { PostgresTypes } from './postgres.ts';
import type { TypeOptions } from './source-type.ts';

const legacy: TypeOptions = { timestampsIso8601: false, customPostgresTypes: false, timestampDigitsMax: null };
const modern: TypeOptions = { timestampsIso8601: true, customPostgresTypes: true, timestampDigitsMax: null };

const int4: ColumnType = { type: 'int4', typeId: 23 };
const pair: ColumnType = {
  type: 'pair',
  typeId: 102,
  custom: {
    kind: 'composite',
    attributes: [
      { name: 'a', ...int4 },
      { name: 'b', type: 'text', typeId: 25 },
      { name: 'c', type: '_int4', typeId: 1007 },
    ],
  },
};
const price: ColumnType = { type: 'price', typeId: 100, custom: { kind: 'domain', base: int4 } };
const mood: ColumnType = { type: 'date', typeId: 101, custom: { kind: 'enum' } };
const floats: ColumnType = {
  type: 'floats',
  typeId: 105,
  custom: { kind: 'range', subtype: { type: 'float8', typeId: 701 } },
};
const manyFloats: ColumnType = {
  type: 'floatss',
  typeId: 106,
  custom: { kind: 'multirange', subtype: { type: 'float8', typeId: 701 } },
};

function arrayOf(element: ColumnType, delimiter = ','): ColumnType {
  return { type: `_${element.type}`, typeId: element.typeId + 1000, custom: { kind: 'array', element, delimiter } };
}

function domainOver(base: ColumnType): ColumnType {
  return { type: `own_${base.type}`, typeId: base.typeId + 2000, custom: { kind: 'domain', base } };
}

function both(type: string | ColumnType, raw: string, options: TypeOptions) {
  const known = new PostgresTypes(options).type(typeof type === 'string' ? { type, typeId: 0 } : type);
  const value = known.read(raw);
  expect(known.json(raw)).toBe(valueJson(value));
  return value;
}

describe('scalars', () => {
  test.each([
    ['bool', 't', 1n],
    ['bool', 'f', 0n],
    ['int2', '-5', -5n],
    ['int8', '9223372036854775807', 9223372036854775807n],
    ['oid', '4294967295', 4294967295n],
    ['float4', '1.1', 1.1],
    ['float8', '3', 3],
    ['float8', '1e+20', 1e20],
    ['float8', 'NaN', Number.NaN],
    ['float8', '-Infinity', Number.NEGATIVE_INFINITY],
    ['numeric', '1.50', '1.50'],
    ['money', '$1.00', '$1.00'],
    ['interval', '1 day', '1 day'],
    ['bpchar', 'a  ', 'a  '],
    ['uuid', '0f8fad5b-d9cb-469f-a165-70867728950e', '0f8fad5b-d9cb-469f-a165-70867728950e'],
    ['jsonb', '{"a": 1}', '{"a": 1}'],
    ['timetz', '10:00:00+02', '10:00:00+02'],
    ['pg_lsn', '16/B374D848', '00000016/B374D848'],
    ['mood', 'so-so "x"', 'so-so "x"'],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', 'infinity', '9999-12-31'],
    ['date', '-infinity', '0000-01-01'],
    ['point', '(1,2)', '(1,2)'],
  ])('%s %s', (type, raw, value) => {
    expect(both(type, raw, legacy)).toEqual(value);
    expect(both(type, raw, modern)).toEqual(value);
  });

  test('bytea is a blob, never synced', () => {
    expect(both('bytea', '\\x00ff', modern)).toEqual(new Uint8Array([0, 255]));
    expect(() => new PostgresTypes(modern).type({ type: 'bytea', typeId: 17 }).read('abc')).toThrow('hex');
  });
});

describe('times', () => {
  test.each([
    ['timestamp', '2024-03-04 05:06:07.12', '2024-03-04 05:06:07.12', '2024-03-04T05:06:07.120000'],
    ['timestamp', '2024-03-04 05:06:07', '2024-03-04 05:06:07', '2024-03-04T05:06:07.000000'],
    ['timestamp', 'infinity', '9999-12-31 23:59:59', '9999-12-31T23:59:59.000000'],
    ['timestamp', '-infinity', '0000-01-01 00:00:00', '0000-01-01T00:00:00.000000'],
    ['timestamp', '0044-03-15 00:00:00 BC', null, null],
    ['timestamp', '10000-01-01 00:00:00', '10000-01-01 00:00:00', '10000-01-01 00:00:00'],
    ['timestamptz', '2024-03-04 05:06:07+00', '2024-03-04 05:06:07Z', '2024-03-04T05:06:07.000000Z'],
    ['timestamptz', '2024-03-04 01:06:07.5+02', '2024-03-03 23:06:07.5Z', '2024-03-03T23:06:07.500000Z'],
    ['timestamptz', '2024-03-04 01:06:07.123456-03:30', '2024-03-04 04:36:07.123456Z', '2024-03-04T04:36:07.123456Z'],
    ['timestamptz', 'infinity', '9999-12-31 23:59:59Z', '9999-12-31T23:59:59.000000Z'],
    ['timestamptz', '10000-01-01 00:00:00+00', null, null],
    ['timestamptz', '9999-12-31 23:00:00-02', null, null],
    ['timestamptz', '0044-03-15 00:00:00+00 BC', null, null],
    ['time', '05:06:07', '05:06:07', '05:06:07.000000'],
    ['time', '05:06:07.12', '05:06:07.12', '05:06:07.120000'],
  ])('%s %s', (type, raw, old, iso) => {
    expect(both(type, raw, legacy)).toBe(old);
    expect(both(type, raw, modern)).toBe(iso);
  });

  test.each([
    [0, '2024-03-04T05:06:07'],
    [3, '2024-03-04T05:06:07.129'],
    [6, '2024-03-04T05:06:07.129900'],
    [9, '2024-03-04T05:06:07.129900'],
  ])('at most %i digits', (timestampDigitsMax, text) => {
    expect(both('timestamp', '2024-03-04 05:06:07.1299', { ...modern, timestampDigitsMax })).toBe(text);
  });
});

describe('arrays', () => {
  test.each([
    ['_int4', '{1,2,NULL}', '[1,2,null]'],
    ['_int4', '[0:1]={1,2}', '[1,2]'],
    ['_int4', '{}', '[]'],
    ['_int4', '{{1,2},{3,4}}', '[[1,2],[3,4]]'],
    ['_float8', '{1,2.5}', '[1.0,2.5]'],
    ['_bool', '{t,f}', '[1,0]'],
    ['_numeric', '{1.50}', '["1.50"]'],
    ['_text', '{a,"b c","q\\"x\\\\",NULL,"NULL",""}', '["a","b c","q\\"x\\\\",null,"NULL",""]'],
    ['_jsonb', '{"{\\"a\\": 1}",NULL}', '[{"a": 1},null]'],
    ['_bytea', '{"\\\\x00"}', '[null]'],
  ])('%s %s', (type, raw, json) => {
    expect(both(type, raw, legacy)).toBe(json);
    expect(both(type, raw, modern)).toBe(json);
  });

  test('of times follow the options', () => {
    expect(both('_timestamp', '{"2024-03-04 05:06:07"}', legacy)).toBe('["2024-03-04 05:06:07"]');
    expect(both('_timestamp', '{"2024-03-04 05:06:07"}', modern)).toBe('["2024-03-04T05:06:07.000000"]');
  });

  test('of boxes are split at semicolons, with custom types', () => {
    expect(both('_box', '{(1,1),(0,0);(2,2),(1,1)}', legacy)).toBe('{(1,1),(0,0);(2,2),(1,1)}');
    expect(both('_box', '{(1,1),(0,0);(2,2),(1,1)}', modern)).toBe('["(1,1),(0,0)","(2,2),(1,1)"]');
  });

  test('of shapes are split at colons', () => {
    expect(both('_geometry', '{0101:0102}', legacy)).toBe('["0101","0102"]');
  });

  test('broken text is an error, or itself for custom types', () => {
    expect(() => new PostgresTypes(legacy).type({ type: '_int4', typeId: 1007 }).read('{1,')).toThrow('literal');
    expect(both('_mood', '{a', modern)).toBe('{a');
  });
});

describe('custom types', () => {
  test.each([
    [price, '5', '5', 5n],
    [domainOver(price), '5', '5', 5n],
    [arrayOf(price), '{5,NULL}', '{5,NULL}', '[5,null]'],
    [domainOver(arrayOf(price)), '{5,NULL}', '{5,NULL}', '[5,null]'],
    [domainOver({ type: '_text', typeId: 1009 }), '{a,"b c"}', '{a,"b c"}', '["a","b c"]'],
    [arrayOf(domainOver({ type: '_text', typeId: 1009 })), '{"{a,b}","{}"}', '{"{a,b}","{}"}', '[["a","b"],[]]'],
    [mood, 'infinity', 'infinity', 'infinity'],
    [arrayOf(mood), '{infinity,"a b"}', '{infinity,"a b"}', '["infinity","a b"]'],
    [arrayOf(mood, ';'), '{a;b}', '{a;b}', '["a","b"]'],
    [pair, '(1,"x ""y""","{1,2}")', '(1,"x ""y""","{1,2}")', '{"a":1,"b":"x \\"y\\"","c":[1,2]}'],
    [pair, '(,,)', '(,,)', '{"a":null,"b":null,"c":null}'],
    [pair, '(1,2)', '(1,2)', '(1,2)'],
    [arrayOf(pair), '{"(1,x,)"}', '{"(1,x,)"}', '[{"a":1,"b":"x","c":null}]'],
    [domainOver(pair), '(1,,)', '(1,,)', '{"a":1,"b":null,"c":null}'],
    [manyFloats, '{[1.5,2]}', '{[1.5,2]}', '[{"lower":1.5,"upper":2.0,"lower_exclusive":0,"upper_exclusive":0}]'],
    [floats, '[1.5,)', '[1.5,)', '{"lower":1.5,"upper":null,"lower_exclusive":0,"upper_exclusive":1}'],
    ['int4range', '[1,5)', '[1,5)', '{"lower":1,"upper":5,"lower_exclusive":0,"upper_exclusive":1}'],
    ['int4range', 'empty', 'empty', 'empty'],
    ['_int4range', '{empty}', '{empty}', '["empty"]'],
    [
      'tstzrange',
      '["2024-01-01 00:00:00+00",]',
      '["2024-01-01 00:00:00+00",]',
      '{"lower":"2024-01-01T00:00:00.000000Z","upper":null,"lower_exclusive":0,"upper_exclusive":0}',
    ],
    [
      'int8multirange',
      '{[1,3),[5,)}',
      '{[1,3),[5,)}',
      '[{"lower":1,"upper":3,"lower_exclusive":0,"upper_exclusive":1},' +
        '{"lower":5,"upper":null,"lower_exclusive":0,"upper_exclusive":1}]',
    ],
    ['_mood', '{a,b}', '{a,b}', '["a","b"]'],
    ['_int4range', '{"[1,2)"}', '{"[1,2)"}', '[{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1}]'],
  ])('%j %s', (type, raw, off, on) => {
    expect(both(type, raw, legacy)).toBe(off);
    expect(both(type, raw, modern)).toBe(on);
  });
});
