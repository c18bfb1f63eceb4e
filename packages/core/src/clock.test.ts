import { expect, test } from 'vitest';
import { nextSlice, nextTurn } from './clock.ts';

test('of many who work in slices, one goes on in each turn of the event loop, in the order of asking', async () => {
  const resumed: string[] = [];
  const loops = ['a', 'b', 'c'].map(async (name) => {
    for (let slice = 1; slice <= 2; slice++) {
      await nextSlice();
      resumed.push(`${name}${slice}`);
    }
  });
  const perTurn: number[] = [];
  let before = 0;
  while (before < 6) {
    await nextTurn();
    perTurn.push(resumed.length - before);
    before = resumed.length;
  }
  await Promise.all(loops);
  expect(Math.max(...perTurn)).toBe(1);
  expect(resumed).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
});
