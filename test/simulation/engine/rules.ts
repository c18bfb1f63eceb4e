/** Rules by hand: rows go to their owner's bucket and into a lookup; what is left out is too large or has no owner. */
import { limits, type RawRow } from '@sluice/core';
import { type RowEvaluator, type RowSink, type SyncRules, type TableShape, textAsBytes } from '@sluice/sync-rules';
import { isPublished, rawRow, type Row, type Shape } from './tables.ts';

export const OWNERS = ['ann', 'bob'] as const;

export const inScope = (name: string): boolean => name === 'alpha' || name.startsWith('t_');

export const bucketOf = (owner: string): string => `owner["${owner}"]`;

export const lookupOf = (owner: string): string => `owned by ${owner}`;

const pattern = { connectionTag: 'default', schema: 'public' };

export const rules: SyncRules = {
  hash: 'simulated',
  definitions: [],
  tablePatterns: [
    { ...pattern, name: 'alpha', wildcard: false },
    { ...pattern, name: 't_', wildcard: true },
  ],
  compileTable: (relation) => (inScope(relation.name) ? evaluator(relation) : null),
  compileByteTable: (relation) => (inScope(relation.name) ? textAsBytes(evaluator(relation)) : null),
  compileTypedTable: () => null,
  resolve: () => ({ streams: [], staticBuckets: [], dynamic: null }),
};

function evaluator({ name, columns }: TableShape): RowEvaluator {
  const id = columns.findIndex((column) => column.name === 'id');
  const owner = columns.findIndex((column) => column.name === 'owner');
  return {
    evaluate(row: RawRow, sink: RowSink) {
      if (row.includes(undefined)) throw new Error('a row with gaps was evaluated');
      const whose = row[owner];
      if (typeof whose !== 'string') return;
      const json = jsonOf(columns, row);
      sink.data(bucketOf(whose), name, row[id] ?? '', json);
      if (json.length <= limits.rowBytesMax) sink.lookup(lookupOf(whose), JSON.stringify([`${name}/${row[id]}`]));
    },
  };
}

function jsonOf(columns: readonly { readonly name: string }[], row: RawRow): string {
  return JSON.stringify(Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
}

/** What a table's rows amount to: JSON of each row that is synced, by `owner name/id`. */
export function expectedOf(shape: Shape, rows: Iterable<Row>): ReadonlyMap<string, string> {
  const expected = new Map<string, string>();
  for (const row of rows) {
    if (!isPublished(shape, row)) continue;
    const owner = row[1];
    const json = jsonOf(shape.columns, rawRow(shape, row));
    if (typeof owner === 'string' && json.length <= limits.rowBytesMax)
      expected.set(`${owner} ${shape.name}/${row[0]}`, json);
  }
  return expected;
}
