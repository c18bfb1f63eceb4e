import type { Relation } from '@sluice/core';
import { initialCheckpointState, newTable } from '@sluice/storage';
import { expect, test } from 'vitest';
import { hasLostNameTo } from './stored-and-found.ts';

const first: Relation = {
  sourceId: '1',
  connectionTag: 'default',
  schema: 'public',
  name: 't',
  replicaIdentity: 'default',
  columns: [],
};
const found = { ...first, found: { at: '05', published: '' } };
const stored = newTable({ id: 1, relation: found, keyColumns: [0] }, 'shown', initialCheckpointState);

test('a name that another table has taken behind where the first was found is lost to that', () => {
  const second = { ...first, sourceId: '2' };
  expect(hasLostNameTo(second, '06', stored)).toBe(true);
  // Rows from before: the first took the name from it.
  expect(hasLostNameTo(second, '05', stored)).toBe(false);
  expect(hasLostNameTo({ ...second, name: 'u' }, '06', stored)).toBe(false);
  expect(hasLostNameTo({ ...second, schema: 'private' }, '06', stored)).toBe(false);
  expect(hasLostNameTo(first, '06', stored)).toBe(false);
});
