import { describe, expect, test } from 'vitest';
import { TableCompiler } from '../table-compiler.ts';
import { textRows } from '../text-rows.ts';
import { idText, type Value } from '../value.ts';
import { valueJson } from '../json.ts';
import { compileProjection, type Projection, projectionText } from './projection.ts';

const values = textRows<Value>({
  reader: () => (cell) => cell,
  idReader: () => idText,
  jsonWriter: () => valueJson,
});

type Column = { readonly name: string };

function synced(projection: Projection<Column>, row: Readonly<Record<string, Value>>) {
  const columns = Object.keys(row).map((name) => ({ name, type: 'text', typeId: 25 }));
  const compiler = new TableCompiler({ connectionTag: 'default', schema: 'public', name: 't', columns }, values);
  return compileProjection(projection, compiler, ({ name }) => compiler.column(name))(Object.values(row));
}

const star = { kind: 'star' } as const;
const column = (name: string, of = name) => ({ kind: 'column', name, column: of }) as const;
const literal = (name: string, value: null | string) =>
  ({ kind: 'plan', name, plan: { op: 'literal', value } }) as const;

describe.each([
  ['fill', [star], '{"id":1,"a":"x","n":null}'],
  ['overwrite', [star], '{"id":1,"_p":"p","a":"x","n":null}'],
  ['fill', [star, literal('a', 'y')], '{"id":1,"a":"y","n":null}'],
  ['overwrite', [star, literal('a', 'y')], '{"id":1,"_p":"p","a":"y","n":null}'],
  ['fill', [literal('a', 'y'), star], '{"a":"y","id":1,"n":null}'],
  ['overwrite', [literal('a', 'y'), star], '{"a":"x","id":1,"_p":"p","n":null}'],
  ['fill', [literal('a', null), star], '{"a":"x","id":1,"n":null}'],
  ['fill', [literal('n', null), star], '{"n":null,"id":1,"a":"x"}'],
  ['fill', [column('_p'), column('q', '_p'), column('gone', 'nowhere')], '{"_p":"p","q":"p"}'],
  [
    'fill',
    [column('10', 'a'), column('b', 'a'), column('9', 'a'), column('01', 'a')],
    '{"9":"x","10":"x","b":"x","01":"x"}',
  ],
] as const)('%s %j', (stars, items, expected) => {
  const row = { id: 1n, _p: 'p', a: 'x', n: null, blob: new Uint8Array([1]), absent: undefined };

  test('writes', () => {
    expect(synced({ items, stars }, row).json).toBe(expected);
  });
});

test.each([
  ['x', 'x'],
  [12n, '12'],
  [2, '2'],
  [1.5, '1.5'],
  [null, ''],
  [undefined, ''],
  [new Uint8Array([65]), ''],
] as const)('the id of %s', (id, expected) => {
  expect(synced({ items: [star], stars: 'fill' }, { id }).id).toBe(expected);
});

test('projections that differ have different texts', () => {
  const projections: Projection<Column>[] = [
    { items: [star], stars: 'fill' },
    { items: [star], stars: 'overwrite' },
    { items: [column('a')], stars: 'fill' },
    { items: [column('a', 'b')], stars: 'fill' },
    { items: [literal('a', 'b')], stars: 'fill' },
    { items: [literal('a', null)], stars: 'fill' },
    { items: [{ kind: 'plan', name: 'a', plan: { op: 'literal', value: 1n } }], stars: 'fill' },
    { items: [{ kind: 'plan', name: 'a', plan: { op: 'literal', value: 1 } }], stars: 'fill' },
    { items: [{ kind: 'plan', name: 'a', plan: { op: 'literal', value: '1' } }], stars: 'fill' },
  ];
  expect(new Set(projections.map((projection) => projectionText(projection, ({ name }) => name))).size).toBe(
    projections.length,
  );
});

test('what queries share is computed once a row', () => {
  const compiler = new TableCompiler({ connectionTag: 'default', schema: 'public', name: 't', columns: [] }, values);
  let calls = 0;
  const [one, other] = [0, 1].map(() => compiler.oncePerRow('key', () => () => ++calls));
  compiler.nextRow();
  expect([one?.([]), other?.([])]).toEqual([1, 1]);
  compiler.nextRow();
  expect(other?.([])).toBe(2);
});
