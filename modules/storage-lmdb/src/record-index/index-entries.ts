/** Entries of the record index, sorted by hash: as lists, and as the bytes of pages and blocks. */
import { invariant } from '@sluice/core';
import { ENTRY_BYTES } from './index-limits.ts';

const U32 = 2 ** 32;
/** Entries that `sortedEntries` takes: hash and place must fit into the 53 bits of a number. */
const SORTED_MAX = 2 ** 21;

/** New entries, sorted by hash; those with one hash in the order in which they shall be found. */
export interface NewEntries {
  readonly hashes: Uint32Array;
  readonly numbers: Float64Array;
}

export interface Entry {
  readonly hash: number;
  readonly number: number;
}

/** Hash and place among the unsorted in one number, because numbers sort fast. */
export function sortedEntries(...lists: readonly NewEntries[]): NewEntries {
  const { hashes, numbers } = concatenated(lists);
  invariant(hashes.length <= SORTED_MAX, 'record index: too many entries to be sorted');
  const order = new Float64Array(hashes.length);
  for (let at = 0; at < order.length; at++) order[at] = (hashes[at] as number) * SORTED_MAX + at;
  order.sort();
  const sorted = { hashes: new Uint32Array(order.length), numbers: new Float64Array(order.length) };
  for (let place = 0; place < order.length; place++) {
    const at = (order[place] as number) % SORTED_MAX;
    sorted.hashes[place] = hashes[at] as number;
    sorted.numbers[place] = numbers[at] as number;
  }
  return sorted;
}

function concatenated(lists: readonly NewEntries[]): NewEntries {
  const [first] = lists;
  if (first !== undefined && lists.length === 1) return first;
  const count = lists.reduce((sum, { hashes }) => sum + hashes.length, 0);
  const all = { hashes: new Uint32Array(count), numbers: new Float64Array(count) };
  let at = 0;
  for (const { hashes, numbers } of lists) {
    all.hashes.set(hashes, at);
    all.numbers.set(numbers, at);
    at += hashes.length;
  }
  return all;
}

export function withoutEntries({ hashes, numbers }: NewEntries, left: ReadonlySet<number>): NewEntries {
  if (left.size === 0) return { hashes, numbers };
  const keep = (_: number, at: number): boolean => !left.has(at);
  return { hashes: hashes.filter(keep), numbers: numbers.filter(keep) };
}

/** @returns where the entry ends */
export function putEntry(view: DataView, at: number, hash: number, number: number): number {
  view.setUint32(at, hash);
  view.setUint16(at + 4, number / U32);
  view.setUint32(at + 6, number % U32);
  return at + ENTRY_BYTES;
}

export function hashAt(view: DataView, at: number): number {
  return view.getUint32(at);
}

export function numberAt(view: DataView, at: number): number {
  return view.getUint16(at + 4) * U32 + view.getUint32(at + 6);
}

/** Offset of the first entry between two offsets whose hash is above `hash`. */
export function upperBound(view: DataView, hash: number, from: number, to: number): number {
  let low = from / ENTRY_BYTES;
  let high = to / ENTRY_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(middle * ENTRY_BYTES) > hash) high = middle;
    else low = middle + 1;
  }
  return low * ENTRY_BYTES;
}

/** Offset of the first entry between two offsets whose hash is not below `hash`. */
export function lowerBound(view: DataView, hash: number, from: number, to: number): number {
  return hash === 0 ? from : upperBound(view, hash - 1, from, to);
}

/** Numbers of the entries of one hash between two offsets. */
export function numbersOf(view: DataView, hash: number, from: number, to: number): number[] {
  const numbers: number[] = [];
  for (let at = lowerBound(view, hash, from, to); at < to && hashAt(view, at) === hash; at += ENTRY_BYTES) {
    numbers.push(numberAt(view, at));
  }
  return numbers;
}
