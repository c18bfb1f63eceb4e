import type { Column, Relation } from '@sluice/core';
import type { TableState } from '@sluice/storage';
import { describe, expect, it } from 'vitest';
import { compatibility } from './table-binding.ts';

const id: Column = { name: 'id', type: 'int4', typeId: 23, typeModifier: -1, key: true };
const pair: Column = {
  name: 'p',
  type: 'pair',
  typeId: 20_001,
  typeModifier: -1,
  key: false,
  custom: { kind: 'composite', attributes: [{ name: 'a', type: 'int4', typeId: 23 }] },
};

function relationOf(...columns: readonly Column[]): Relation {
  return { sourceId: '1', connectionTag: 'default', schema: 'public', name: 't', replicaIdentity: 'default', columns };
}

function storedAs(relation: Relation): TableState {
  return {
    id: 1,
    relation,
    keyColumns: [0],
    generation: 1,
    truncateEpoch: 0,
    snapshot: 'done',
    endPosition: null,
    plan: { hash: '', strategy: '' },
    visibility: 'shown',
    history: 1,
    unconfirmed: false,
  };
}

describe('a relation', () => {
  it('goes on under its stored table whatever its types have become', () => {
    const stored = storedAs(relationOf(id, pair));
    const { custom: _, ...bare } = pair;
    const grown: Column = {
      ...pair,
      custom: {
        kind: 'composite',
        attributes: [
          { name: 'a', type: 'int4', typeId: 23 },
          { name: 'b', type: 'text', typeId: 25 },
        ],
      },
    };
    expect(compatibility(stored, relationOf(id, bare))).toBe('same');
    expect(compatibility(stored, relationOf(id, grown))).toBe('same');
    expect(compatibility(stored, relationOf(id, grown, { ...id, name: 'new' }))).toBe('same');
  });

  it('does not when a column has another type, another name, or is gone', () => {
    const stored = storedAs(relationOf(id, pair));
    expect(compatibility(stored, relationOf(id, { ...pair, typeId: 20_009 }))).toBe('different');
    expect(compatibility(stored, relationOf(id, { ...pair, name: 'q' }))).toBe('different');
    expect(compatibility(stored, relationOf(id))).toBe('different');
  });
});
