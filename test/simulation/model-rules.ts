/** Rules over the model database, by hand: a bucket for each owner, the row itself as data. */
import type { RawRow } from '@sluice/core';
import type { RowEvaluator, RowSink, SyncRules } from '@sluice/sync-rules';
import { COLUMNS, type ModelRow, type ModelState, TABLE_NAMES, rawRow } from './model-database.ts';

export const OWNERS = ['ann', 'bob', 'cy'] as const;

export function bucketOf(owner: string): string {
  return `owner["${owner}"]`;
}

function jsonOf(row: RawRow): string {
  return JSON.stringify(Object.fromEntries(COLUMNS.map((column, index) => [column, row[index]])));
}

export const modelRules: SyncRules = {
  hash: 'model',
  definitions: [],
  tablePatterns: TABLE_NAMES.map((name) => ({ connectionTag: 'default', schema: 'public', name, wildcard: false })),
  compileTable: ({ name }): RowEvaluator => ({
    evaluate(row: RawRow, sink: RowSink) {
      const [id, owner] = row;
      if (row.includes(undefined)) throw new Error('a row with gaps was evaluated');
      if (typeof owner === 'string') sink.data(bucketOf(owner), name, id as string, jsonOf(row));
      sink.lookup(`owner of ${name}/${id}`, JSON.stringify([{ owner: owner ?? null }]));
    },
  }),
  compileTypedTable: () => null,
  resolve: () => {
    throw new Error('not used');
  },
};

/** What must be in the owner's bucket: JSON by `table/id`. */
export function expectedOf(state: ModelState, owner: string): ReadonlyMap<string, string> {
  const rows = [...state].filter(([, row]: [string, ModelRow]) => row.owner === owner);
  return new Map(rows.map(([key, row]) => [key, jsonOf(rawRow(row))]));
}
