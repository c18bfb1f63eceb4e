import { expect, test } from 'vitest';
import { HashFilters } from './hash-filters.ts';

/** A table whose filter is one of the largest. */
const LARGE = { pages: 100_000, nextGroup: 1 };
const SMALL = { pages: 100, nextGroup: 1 };
const nothing = (): void => undefined;

function filtersOf(...names: readonly string[]): HashFilters {
  const filters = new HashFilters();
  for (const name of names) filters.added(name, 1);
  return filters;
}

test('large tables that are added to in turns keep their filters, or do without', () => {
  const names = ['a', 'b', 'c', 'd'];
  const filters = filtersOf(...names);
  const turn = () => names.map((name) => filters.ofTable(name, LARGE, nothing));
  const first = turn();
  expect(first.map((filter) => filter !== null)).toEqual([true, true, false, false]);
  for (let again = 0; again < 5; again++) turn().forEach((filter, at) => expect(filter).toBe(first[at]));
});

test('a filter that nobody asks for any more makes room for another', () => {
  const filters = filtersOf('a', 'b', 'c', 'small');
  const [first, second] = [filters.ofTable('a', LARGE, nothing), filters.ofTable('b', LARGE, nothing)];
  for (let asked = 0; asked < 300; asked++) {
    expect(filters.ofTable('b', LARGE, nothing)).toBe(second);
    filters.ofTable('small', SMALL, nothing);
  }
  expect(filters.ofTable('c', LARGE, nothing)).not.toBeNull();
  expect(filters.ofTable('b', LARGE, nothing)).toBe(second);
  expect(first).not.toBeNull();
  expect(filters.existing('a', 1)).toBeNull();
});

test('who only adds gets a filter that is there, if nobody else has added', () => {
  const filters = filtersOf('a');
  expect(filters.existing('a', 1)).toBeNull();
  const filter = filters.ofTable('a', SMALL, nothing);
  expect(filters.existing('a', 1)).toBe(filter);
  expect(filters.existing('a', 2)).toBeNull();
  expect(filters.existing('a', 1)).toBeNull();
});
