/** Every BSON type, made by the real library and read from its bytes again, to the JSON of clients: alone, and nested. */
import { bsonColumn, parseSyncRules, type TypedValue } from '@sluice/sync-rules';
import * as bson from 'bson';
import { expect, test } from 'vitest';

function synced(document: Record<string, unknown>, edition: 1 | 2 = 2): string {
  const bytes = bson.serialize(document, { ignoreUndefined: false });
  const read = bson.deserialize(bytes, { promoteValues: false, bsonRegExp: true });
  const yaml = `config: { edition: ${edition} }\nbucket_definitions:\n  g: { data: ["SELECT 'x' AS id, v FROM t"] }\n`;
  const columns = Object.keys(read).map((name) => ({ name, type: '', typeId: 0 }));
  const table = { connectionTag: 'default', schema: 'public', name: 't', columns };
  let found = '';
  const values: readonly TypedValue[] = Object.values(read).map((value: unknown) => bsonColumn(value));
  parseSyncRules(yaml, { defaultSchema: 'public' })
    .rules?.compileTypedTable(table)
    ?.evaluate(values, {
      data: (_bucket, _type, _id, json) => {
        found = json
          .replace(/^\{"id":"x",?/, '')
          .replace(/\}$/, '')
          .replace(/^"v":/, '');
      },
      lookup: () => undefined,
      error: (_definition, message) => {
        found = message;
      },
    });
  return found;
}

const oid = new bson.ObjectId('65e5a1b2c3d4e5f601020304');
const uuid = new bson.UUID('0F8FAD5B-D9CB-469F-A165-70867728950E');
const date = new Date('2024-03-04T05:06:07.120Z');

test.each<[name: string, value: unknown, alone: string, nested: string]>([
  ['string', 'a', '"a"', '"a"'],
  ['symbol', new bson.BSONSymbol('s'), '"s"', '"s"'],
  ['int32', new bson.Int32(-5), '-5', '-5'],
  ['int64', bson.Long.fromString('9223372036854775807'), '9223372036854775807', '9223372036854775807'],
  ['whole double', new bson.Double(3), '3', '3'],
  ['double', new bson.Double(1.5), '1.5', '1.5'],
  ['large double', new bson.Double(1e300), String(BigInt(1e300)), '1e+300'],
  ['infinite double', new bson.Double(Number.POSITIVE_INFINITY), 'null', 'null'],
  ['decimal', bson.Decimal128.fromString('1.50'), '"1.50"', '"1.50"'],
  ['decimal NaN', bson.Decimal128.fromString('NaN'), '"NaN"', '"NaN"'],
  ['boolean', true, '1', '1'],
  ['ObjectId', oid, '"65e5a1b2c3d4e5f601020304"', '"65e5a1b2c3d4e5f601020304"'],
  ['UUID', uuid, '"0f8fad5b-d9cb-469f-a165-70867728950e"', '"0f8fad5b-d9cb-469f-a165-70867728950e"'],
  ['binary', new bson.Binary(new Uint8Array([1, 2])), '', 'null'],
  ['date', date, '"2024-03-04T05:06:07.120Z"', '"2024-03-04T05:06:07.120Z"'],
  ['timestamp', new bson.Timestamp({ t: 2, i: 3 }), String((2n << 32n) + 3n), String((2n << 32n) + 3n)],
  ['null', null, 'null', 'null'],
  ['undefined', undefined, 'null', 'null'],
  ['MinKey', new bson.MinKey(), 'null', 'null'],
  ['MaxKey', new bson.MaxKey(), 'null', 'null'],
  ['array', [1, [true]], '"[1,[1]]"', '[1,[1]]'],
  ['document', { a: { b: 2.5 } }, '"{\\"a\\":{\\"b\\":2.5}}"', '{"a":{"b":2.5}}'],
  [
    'regex',
    new bson.BSONRegExp('^a', 'im'),
    '"{\\"pattern\\":\\"^a\\",\\"options\\":\\"im\\"}"',
    '{"pattern":"^a","options":"im"}',
  ],
  ['code', new bson.Code('f()'), '"{\\"code\\":\\"f()\\",\\"scope\\":null}"', '{"code":"f()","scope":null}'],
  [
    'code with scope',
    new bson.Code('f()', { x: 1 }),
    '"{\\"code\\":\\"f()\\",\\"scope\\":{\\"x\\":1}}"',
    '{"code":"f()","scope":{"x":1}}',
  ],
])('%s', (_, value, alone, nested) => {
  expect(synced({ v: value })).toBe(alone);
  expect(JSON.parse(synced({ v: [value] }))).toBe(`[${nested}]`);
});

test('a reference to another collection', () => {
  const fields = '"oid":"65e5a1b2c3d4e5f601020304","db":"d","fields":{"extra":1}';
  expect(JSON.parse(synced({ v: new bson.DBRef('c', oid, 'd', { extra: 1 }) }))).toBe(`{"collection":"c",${fields}}`);
});

test('dates before edition 2', () => expect(synced({ v: date }, 1)).toBe('"2024-03-04 05:06:07.120Z"'));

test('bytes are left out, and so is what is undefined', () => {
  expect(synced({ v: { b: new bson.Binary(new Uint8Array([1])), c: 1 } })).toBe('"{\\"c\\":1}"');
  expect(bsonColumn({ a: undefined, c: [undefined] })).toMatchObject({ content: { a: undefined, c: [undefined] } });
});

test('20 levels are read, 21 are an error of the row', () => {
  const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
  expect(synced({ v: deep(19) })).toContain('[[[');
  expect(synced({ v: deep(21) })).toMatch(/nests deeper/);
});
