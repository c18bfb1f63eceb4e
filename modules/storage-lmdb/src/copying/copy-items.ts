import type { ByteSpace } from '@sluice/core';
import type { Places } from '@sluice/storage';

/** Some of the items that a list numbers. */
export interface Chosen {
  readonly numbers: Int32Array;
  readonly from: number;
  readonly to: number;
}

/** Copies items one behind the other; those that stand so already, at once. */
export function copyItems(items: Places, { numbers, from, to }: Chosen, target: ByteSpace, at: number): void {
  const starts = items.starts.values;
  const ends = items.ends.values;
  const spaces = items.spaceOf.values;
  let next = from;
  while (next < to) {
    const first = numbers[next] as number;
    let last = first;
    for (next++; next < to; next++) {
      const item = numbers[next] as number;
      if (starts[item] !== ends[last] || spaces[item] !== spaces[last]) break;
      last = item;
    }
    const bytes = items.space(first).view8(starts[first] as number, ends[last] as number);
    target.bytes.set(bytes, at);
    at += bytes.length;
  }
}

/** All of so many, in their order. */
export function allOf(count: number): Int32Array {
  const numbers = new Int32Array(count);
  for (let at = 0; at < count; at++) numbers[at] = at;
  return numbers;
}
