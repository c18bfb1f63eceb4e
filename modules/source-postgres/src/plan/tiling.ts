/**
 * What makes ranges a plan: together they hold every row there is or will be. It is enough that they form a chain from
 * open below to open above: then each row has a last bound that it is not below, and stands in the range that begins
 * there, whatever the bounds are. (Bounds out of order make ranges overlap; that costs time and no row.)
 */
import { invariant } from '@sluice/core';

/** From `from` on (null: from the beginning) up to and without `to` (null: to the end, wherever it is by then). */
export interface Bounded<Bound> {
  readonly from: Bound | null;
  readonly to: Bound | null;
}

export function tiles<Bound>(ranges: readonly Bounded<Bound>[]): boolean {
  const same = (a: Bound | null, b: Bound | null) => JSON.stringify(a) === JSON.stringify(b);
  if (ranges[0]?.from !== null || ranges.at(-1)?.to !== null) return false;
  return ranges.every(({ to }, index) => {
    const next = ranges[index + 1];
    return next === undefined ? to === null : to !== null && same(to, next.from);
  });
}

/** The chain over inner bounds, proven. @throws SLU_X0001 */
export function chain<Bound>(inner: readonly Bound[]): readonly Bounded<Bound>[] {
  const ranges = [null, ...inner].map((from, index) => ({ from, to: inner[index] ?? null }));
  invariant(tiles(ranges), 'the ranges of a plan leave rows out');
  return ranges;
}
