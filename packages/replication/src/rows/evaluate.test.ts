import { type Column, decodeOp, type RawRow, type Relation } from '@sluice/core';
import { decodeRecord, type Effect, encodeRecord, type SourceRecord } from '@sluice/storage';
import { type RowEvaluator, textAsBytes } from '@sluice/sync-rules';
import { describe, expect, test } from 'vitest';
import { evaluate as evaluateIn, sweep } from './evaluate.ts';
import type { ChangeWrite, UpsertWrite } from './row-write.ts';
import type { TableBinding } from '../tables/table-binding.ts';

/** Rows are (id, owner, text): one bucket per owner, one lookup per owner. */
const byOwner: RowEvaluator = {
  evaluate: ([id, owner, text], sink) => {
    if (typeof owner !== 'string') return;
    sink.data(`by_owner["${owner}"]`, 'notes', String(id), JSON.stringify({ id, text }));
    sink.lookup(`owners ${owner}`, `["${id}"]`);
  },
};
const relation: Relation = {
  sourceId: '1',
  connectionTag: 'default',
  schema: 'public',
  name: 'notes',
  replicaIdentity: 'default',
  columns: ['id', 'owner', 'text'].map((name) => ({
    name,
    type: 'text',
    typeId: 25,
    typeModifier: -1,
    key: name === 'id',
  })),
};
const binding: TableBinding = {
  table: {
    id: 7,
    relation,
    keyColumns: [0],
    generation: 1,
    truncateEpoch: 0,
    snapshot: 'pending',
    endPosition: null,
    plan: { hash: '', strategy: '' },
    visibility: 'shown',
    history: 1,
    unconfirmed: false,
  },
  keyColumns: [0],
  foundAt: '',
  evaluator: byOwner,
  copyEvaluator: textAsBytes(byOwner),
  cut: null,
  reportRowError: () => {},
};

function evaluate(write: ChangeWrite, prior: Uint8Array | null, moved: Uint8Array | null): Effect | null {
  return evaluateIn(write, prior, moved, binding.table);
}

function upsert(row: RawRow, movedFrom?: string): UpsertWrite {
  const write: UpsertWrite = {
    kind: 'upsert',
    binding,
    tableId: 7,
    key: String(row[0]),
    row,
    boundary: '05',
    replayed: false,
  };
  return movedFrom === undefined ? write : { ...write, movedFrom };
}

function effectOf(effect: Effect | null) {
  return {
    ops: effect?.ops.map((op) => {
      const { op: kind, objectId, subkey } = decodeOp(op.body);
      return `${kind} ${op.bucket} ${objectId} ${subkey}`;
    }),
    lookups: effect?.lookups.map(({ key, value }) => `${key} = ${value}`),
    partial: effect?.partial,
  };
}

function recordOf(effect: Effect | null): SourceRecord {
  return decodeRecord(effect?.record as Uint8Array);
}

const inserted = evaluate(upsert(['1', 'ann', 'hello']), null, null);
const prior = inserted?.record as Uint8Array;

describe('upserts', () => {
  test('a new row is put, looked up and remembered', () => {
    expect(effectOf(inserted)).toEqual({
      ops: ['PUT by_owner["ann"] 1 7.1'],
      lookups: ['owners ann = ["1"]'],
      partial: false,
    });
    expect(recordOf(inserted).values).toEqual(['1', 'ann', 'hello']);
  });

  test('a row that did not change is not written', () => {
    expect(evaluate(upsert(['1', 'ann', 'hello']), prior, null)).toBeNull();
  });

  test('a change of what the rules do not read is kept, and not told', () => {
    const blind = { ...binding, evaluator: { ...byOwner, reads: [0, 1] } };
    const write = (row: RawRow): UpsertWrite => ({ ...upsert(row), binding: blind });
    const effect = evaluate(write(['1', 'ann', 'other']), prior, null);
    expect(effectOf(effect)).toEqual({ ops: [], lookups: [], partial: false });
    expect(recordOf(effect)).toEqual({ ...decodeRecord(prior), values: ['1', 'ann', 'other'] });
    expect(effectOf(evaluate(write(['1', 'bob', 'other']), prior, null)).ops).toHaveLength(2);
  });

  test('a row that was stored aside is told, whatever of it changes', () => {
    const aside = evaluateIn(upsert(['1', 'ann', 'hello']), null, null, { ...binding.table, visibility: 'staged' });
    const blind = { ...binding, evaluator: { ...byOwner, reads: [0, 1] } };
    const effect = evaluate({ ...upsert(['1', 'ann', 'other']), binding: blind }, aside?.record ?? null, null);
    expect(effectOf(effect).ops).toEqual(['PUT by_owner["ann"] 1 7.1']);
  });

  test('a row that moves between buckets ends in the one it left', () => {
    expect(effectOf(evaluate(upsert(['1', 'bob', 'hello']), prior, null))).toEqual({
      ops: ['PUT by_owner["bob"] 1 7.1', 'REMOVE by_owner["ann"] 1 7.1'],
      lookups: ['owners bob = ["1"]', 'owners ann = '],
      partial: false,
    });
  });

  test('a row that leaves all buckets keeps its record and its values', () => {
    const effect = evaluate(upsert(['1', null, 'hello']), prior, null);
    expect(effectOf(effect).ops).toEqual(['REMOVE by_owner["ann"] 1 7.1']);
    expect(recordOf(effect).values).toEqual(['1', null, 'hello']);
  });

  test('unchanged values are filled from the record before', () => {
    expect(recordOf(evaluate(upsert(['1', 'bob', undefined]), prior, null)).values).toEqual(['1', 'bob', 'hello']);
  });

  test('a moved row takes its unchanged values along', () => {
    const effect = evaluate(upsert(['2', 'ann', undefined], '1'), null, prior);
    expect(effectOf(effect).ops).toEqual(['PUT by_owner["ann"] 2 7.2']);
    expect(recordOf(effect).values).toEqual(['2', 'ann', 'hello']);
  });
});

describe('partial rows', () => {
  const gapped = evaluate(upsert(['1', 'ann', undefined]), null, null);

  test('values nobody knows yet: kept, not published', () => {
    expect(effectOf(gapped)).toEqual({ ops: [], lookups: [], partial: true });
    expect(recordOf(gapped).values).toEqual(['1', 'ann', undefined]);
  });

  test('later changes keep the gap, and a whole row closes it', () => {
    const again = evaluate(upsert(['1', 'bob', undefined]), gapped?.record ?? null, null);
    expect(recordOf(again)).toMatchObject({ partial: true, values: ['1', 'bob', undefined] });
    const whole = evaluate(upsert(['1', 'bob', 'x']), again?.record ?? null, null);
    expect(effectOf(whole)).toMatchObject({ ops: ['PUT by_owner["bob"] 1 7.1'], partial: false });
  });

  test('a re-read fills the gaps and nothing else', () => {
    const expected = gapped?.record as Uint8Array;
    const write = {
      kind: 'complete',
      binding,
      tableId: 7,
      key: '1',
      row: ['1', 'old owner', 'read'],
      expected,
      readBefore: '09',
    } as const;
    const effect = evaluate(write, expected, null);
    expect(recordOf(effect)).toMatchObject({ partial: false, values: ['1', 'ann', 'read'] });
    expect(effectOf(effect).ops).toEqual(['PUT by_owner["ann"] 1 7.1']);
  });

  test('a re-read for a record that changed since is dropped', () => {
    const write = {
      kind: 'complete',
      binding,
      tableId: 7,
      key: '1',
      row: ['1', 'ann', 'read'],
      expected: prior,
      readBefore: '09',
    } as const;
    expect(evaluate(write, gapped?.record as Uint8Array, null)).toBeNull();
    expect(evaluate(write, null, null)).toBeNull();
  });
});

describe('deletes', () => {
  test('a delete ends memberships and lookups', () => {
    const effect = evaluate({ kind: 'delete', binding, tableId: 7, key: '1', boundary: '1' }, prior, null);
    expect(effect?.record).toBeNull();
    expect(effectOf(effect)).toEqual({
      ops: ['REMOVE by_owner["ann"] 1 7.1'],
      lookups: ['owners ann = '],
      partial: false,
    });
  });

  test('a delete of an unknown row is still an effect: storage may have to leave a tombstone', () => {
    expect(evaluate({ kind: 'delete', binding, tableId: 7, key: '1', boundary: '1' }, null, null)).toMatchObject({
      record: null,
      ops: [],
    });
  });
});

test('the same object in the same bucket twice: the last one wins', () => {
  const twice: RowEvaluator = {
    evaluate: (_, sink) => {
      sink.data('b', 't', '1', '{"v":1}');
      sink.data('b', 't', '1', '{"v":2}');
    },
  };
  const effect = evaluate({ ...upsert(['1', 'a', 'b']), binding: { ...binding, evaluator: twice } }, null, null);
  expect(effect?.ops.map((op) => decodeOp(op.body).data)).toEqual(['{"v":2}']);
});

test('a row over the size limit is left out, and an earlier version of it removed', () => {
  const reports: string[] = [];
  const huge: RowEvaluator = { evaluate: (_, sink) => sink.data('b', 't', '1', 'x'.repeat(15 * 1024 * 1024 + 1)) };
  const before = encodeRecord({
    partial: false,
    readAhead: null,
    history: 1,
    memberships: [{ bucket: 'b', objectType: 't', objectId: '1' }],
    lookups: [],
    values: ['1', 'a', 'b'],
  });
  const own = { ...binding, evaluator: huge, reportRowError: (_: string, message: string) => reports.push(message) };
  const effect = evaluate({ ...upsert(['1', 'a', 'c']), binding: own }, before, null);
  expect(effectOf(effect).ops).toEqual(['REMOVE b 1 7.1']);
  expect(reports).toHaveLength(1);
});

describe('a row with columns that its table is not stored with', () => {
  const wider = { ...relation, columns: [...relation.columns, { ...relation.columns[2], name: 'more' } as Column] };
  const whole: RowEvaluator = {
    evaluate: (row, out) => out.data('all', 'notes', String(row[0]), JSON.stringify(row)),
  };
  const streamed = { ...binding, evaluator: whole, cut: binding };
  const write = { ...upsert(['1', 'ann', 'hello', undefined]), binding: streamed };

  test('is cut to those', () => {
    const effect = evaluateIn(write, null, null, binding.table);
    expect(effectOf(effect)).toEqual(effectOf(inserted));
    expect(recordOf(effect).values).toEqual(['1', 'ann', 'hello']);
  });

  test('is kept whole if the table has got them meanwhile', () => {
    const row: RawRow = ['1', 'ann', 'hello', 'more'];
    const effect = evaluateIn({ ...write, row }, null, null, { ...binding.table, relation: wider, history: 2 });
    expect(recordOf(effect)).toMatchObject({ history: 2, values: row });
    expect(effectOf(effect).ops).toEqual(['PUT all 1 7.1']);
  });
});

describe('records of an older history', () => {
  const table = { ...binding.table, history: 2, unconfirmed: true };
  const inTable = (write: ChangeWrite, before: Uint8Array | null, from: Uint8Array | null = null) =>
    evaluateIn(write, before, from, table);
  const copied = (row: RawRow): UpsertWrite => ({ ...upsert(row), boundary: null });

  test('a copied row that is still the same is confirmed, without an op', () => {
    const effect = inTable(copied(['1', 'ann', 'hello']), prior);
    expect(effectOf(effect)).toEqual({ ops: [], lookups: [], partial: false });
    expect(recordOf(effect)).toMatchObject({ history: 2, readAhead: 'copy', values: ['1', 'ann', 'hello'] });
    expect(recordOf(effect).memberships).toEqual(recordOf(inserted).memberships);
  });

  test('a copied row that changed is told, and ends where it was', () => {
    expect(effectOf(inTable(copied(['1', 'bob', 'hello']), prior)).ops).toEqual([
      'PUT by_owner["bob"] 1 7.1',
      'REMOVE by_owner["ann"] 1 7.1',
    ]);
  });

  test('a change that clients do not see is kept, and not told', () => {
    const hidden: RowEvaluator = {
      evaluate: ([id], out) => out.data('all', 'notes', String(id), JSON.stringify({ id })),
    };
    const blind = { ...binding, evaluator: hidden };
    const before = evaluateIn({ ...upsert(['1', 'ann', 'old']), binding: blind }, null, null, binding.table);
    const effect = inTable({ ...copied(['1', 'ann', 'new']), binding: blind }, before?.record ?? null);
    expect(effectOf(effect).ops).toEqual([]);
    expect(recordOf(effect)).toMatchObject({ history: 2, values: ['1', 'ann', 'new'] });
  });

  test('a copied row leaves what the stream or another copy confirmed', () => {
    const streamed = inTable(upsert(['1', 'ann', 'streamed']), prior)?.record ?? null;
    expect(inTable(copied(['1', 'ann', 'copied']), streamed)).toBeNull();
  });

  test('a streamed row does not fill its gaps from them, under its key or the one it had', () => {
    const effect = inTable(upsert(['1', 'ann', undefined]), prior);
    expect(effectOf(effect)).toMatchObject({ ops: [], partial: true });
    expect(recordOf(effect)).toMatchObject({ history: 2, values: ['1', 'ann', undefined] });
    expect(recordOf(effect).memberships).toHaveLength(1);
    expect(effectOf(inTable(upsert(['2', 'ann', undefined], '1'), null, prior)).partial).toBe(true);
  });

  test('a re-read completes no row that is of an older history', () => {
    const gapped = evaluate(upsert(['1', 'ann', undefined]), null, null)?.record as Uint8Array;
    const row: RawRow = ['1', 'ann', 'read'];
    const write = { kind: 'complete', binding, tableId: 7, key: '1', row, expected: gapped, readBefore: '09' } as const;
    expect(inTable(write, gapped)).toBeNull();
  });

  test('what was not met is swept; what was met is kept', () => {
    expect(effectOf(sweep(table, '1', prior)).ops).toEqual(['REMOVE by_owner["ann"] 1 7.1']);
    const met = inTable(copied(['1', 'ann', 'hello']), prior)?.record as Uint8Array;
    expect(sweep(table, '1', met)).toBeNull();
  });
});
