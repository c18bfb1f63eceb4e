/** Entries of the record index, sorted by hash: as lists, and as the bytes of pages and blocks. */
import { ENTRY_BYTES } from './index-limits.ts';
import { sortedHashes } from './sorted-hashes.ts';

const U32 = 2 ** 32;

/** New entries, sorted by hash; those with one hash in the order in which they shall be found. */
export interface NewEntries {
  readonly hashes: Uint32Array;
  readonly numbers: Float64Array;
}

export interface Entry {
  readonly hash: number;
  readonly number: number;
}

export function sortedEntries(...lists: readonly NewEntries[]): NewEntries {
  const { hashes: unsorted, numbers: given } = concatenated(lists);
  const { hashes, order } = sortedHashes(unsorted);
  const numbers = new Float64Array(order.length);
  for (let place = 0; place < order.length; place++) numbers[place] = given[order[place] as number] as number;
  return { hashes, numbers };
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
function upperBound(view: DataView, hash: number, from: number, to: number): number {
  let low = from / ENTRY_BYTES;
  let high = to / ENTRY_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(middle * ENTRY_BYTES) > hash) high = middle;
    else low = middle + 1;
  }
  return low * ENTRY_BYTES;
}

/**
 * The same, for those who come with rising hashes: from the last one on in steps that double, so that near ones are found as
 * fast as far ones.
 */
export function nextNotBelow(view: DataView, hash: number, from: number, to: number): number {
  let step = ENTRY_BYTES;
  let low = from;
  while (low < to && hashAt(view, low) < hash) {
    const next = low + step;
    if (next >= to || hashAt(view, next) >= hash) return lowerBound(view, hash, low + ENTRY_BYTES, Math.min(next, to));
    low = next;
    step *= 2;
  }
  return low;
}

/** Entries that are looked at one by one before the search begins in the middle: where many are merged, the next is near. */
const NEAR = 24;

/** As `upperBound`, for those who come with rising hashes. */
export function nextAbove(view: DataView, hash: number, from: number, to: number): number {
  const near = Math.min(to, from + NEAR * ENTRY_BYTES);
  let at = from;
  while (at < near && hashAt(view, at) <= hash) at += ENTRY_BYTES;
  return at < near ? at : upperBound(view, hash, at, to);
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
