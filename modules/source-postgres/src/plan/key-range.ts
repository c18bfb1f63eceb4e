/**
 * Ranges of a primary key, composite too, compared row-wise in the order of its index. They survive every rewrite of the
 * table; each statement reads on from the key of the last row.
 */
import type { JsonValue } from '@sluice/storage';
import { quoteLiteral, quoteName } from '../quote.ts';
import type { Bounded } from './tiling.ts';

/** A bound may give the first values of the key only: `["7"]` is before every key that begins with 7. */
export interface KeyRange extends Bounded<readonly string[]> {
  /** Names of its columns, in the order of the index. */
  readonly key: readonly string[];
}

/** Null if the value is not a range of keys. */
export function parseKeyRange(range: JsonValue): KeyRange | null {
  const { key, from, to } = (range ?? {}) as { key?: unknown; from?: unknown; to?: unknown };
  const isBound = (bound: unknown): bound is readonly string[] | null => bound === null || isTexts(bound);
  return isTexts(key) && key.length > 0 && isBound(from) && isBound(to) ? { key, from, to } : null;
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

/** @param after the key of the last row that was read; null at the beginning */
export function keyConditions({ key, from, to }: KeyRange, after: readonly string[] | null): string[] {
  return [
    ...(after === null ? [] : [compare(key, '>', after)]),
    ...(after !== null || from === null ? [] : [compare(key, '>=', from)]),
    ...(to === null ? [] : [compare(key, '<', to)]),
  ];
}

export function keyOrder({ key }: KeyRange): string {
  return key.map(quoteName).join(', ');
}

/** Literals without a type take that of their column. */
function compare(key: readonly string[], operator: string, values: readonly string[]): string {
  const columns = key.slice(0, values.length).map(quoteName);
  return `(${columns.join(', ')}) ${operator} (${values.map(quoteLiteral).join(', ')})`;
}
