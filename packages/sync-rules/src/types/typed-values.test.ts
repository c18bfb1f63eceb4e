import { expect, test } from 'vitest';
import { editionDefaults, type TimestampPrecision } from '../compatibility.ts';
import { TimeValue, type TypedValue, typedFormat } from './typed-values.ts';

const column = { name: 'c', type: '', typeId: 0 };

function read(cell: TypedValue, edition: 1 | 2 = 1, timestampMaxPrecision: TimestampPrecision | null = null) {
  return typedFormat({ ...editionDefaults(edition), timestampMaxPrecision }).reader(column)(cell);
}

const micro = (iso: string, legacy: string | null = null) =>
  new TimeValue(iso, { kind: 'datetime', legacy, digits: { max: 6, default: 6 } });
const milli = (iso: string) => new TimeValue(iso, { kind: 'datetime', legacy: null, digits: { max: 3, default: 3 } });

test('times follow the options', () => {
  const ts = micro('2024-03-04T05:06:07.120000', '2024-03-04 05:06:07.12');
  expect(read(ts)).toBe('2024-03-04 05:06:07.12');
  expect(read(ts, 2)).toBe('2024-03-04T05:06:07.120000');
  expect(read(ts, 2, 'milliseconds')).toBe('2024-03-04T05:06:07.120');
  expect(read(micro('2024-03-04T05:06:07Z'), 2, 'seconds')).toBe('2024-03-04T05:06:07Z');
  expect(read(milli('2024-03-04T05:06:07.120Z'), 2, 'nanoseconds')).toBe('2024-03-04T05:06:07.120Z');
  expect(read(milli('2024-03-04T05:06:07.120Z'))).toBe('2024-03-04 05:06:07.120Z');
});

test('containers become JSON text', () => {
  expect(read([1n, 2, 'x', null, true, [3n], new Uint8Array(1), milli('2024-01-01T00:00:00Z')])).toBe(
    '[1,2.0,"x",null,1,[3],null,"2024-01-01 00:00:00Z"]',
  );
  expect(read({ z: 1n, a: { k: false }, bin: new Uint8Array(1) })).toBe('{"z":1,"a":{"k":0}}');
});

test('deep values are refused', () => {
  let deep: TypedValue = 1n;
  for (let depth = 0; depth < 9; depth++) deep = [deep];
  expect(read(deep)).toBe('[[[[[[[[[1]]]]]]]]]');
  expect(() => read([[deep]])).toThrow('nests deeper');
});

test('booleans are integers, bytes stay bytes', () => {
  expect(read(true)).toBe(1n);
  expect(read(undefined)).toBeUndefined();
  expect(typedFormat(editionDefaults(1)).jsonWriter(column)(new Uint8Array(1))).toBeUndefined();
  expect(typedFormat(editionDefaults(1)).jsonWriter(column)(2)).toBe('2.0');
});
