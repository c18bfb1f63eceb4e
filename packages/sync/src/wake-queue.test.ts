import { nextTurn } from '@sluice/core';
import { expect, it } from 'vitest';
import { WakeQueue } from './wake-queue.ts';

const sleepers = (count: number, woken: number[]) =>
  Array.from({ length: count }, (_, index) => ({ wake: () => void woken.push(index) }));

it('wakes a few at once, and many in the order in which they came, some a turn', async () => {
  const woken: number[] = [];
  const queue = new WakeQueue(10);
  const counts: number[] = [];
  for (const sleeper of sleepers(25, woken)) queue.add(sleeper);
  for (let turn = 0; turn < 4; turn++) {
    counts.push(woken.length);
    await nextTurn();
  }
  expect(counts).toEqual([10, 20, 25, 25]);
  expect(woken).toEqual(Array.from({ length: 25 }, (_, index) => index));
});

it('wakes nobody while it is held, and each once', async () => {
  const woken: number[] = [];
  const queue = new WakeQueue(10);
  queue.hold();
  const [sleeper] = sleepers(1, woken);
  if (sleeper !== undefined) for (let times = 0; times < 3; times++) queue.add(sleeper);
  await nextTurn();
  expect(woken).toEqual([]);
  queue.release();
  expect(woken).toEqual([0]);
  await nextTurn();
  expect(woken).toEqual([0]);
});

it('is drained when those are awake who were due, though others come turn by turn', async () => {
  const woken: number[] = [];
  const queue = new WakeQueue(10);
  for (const sleeper of sleepers(35, woken)) queue.add(sleeper);
  let goesOn = true;
  const others = (async () => {
    while (goesOn) {
      queue.add({ wake: () => {} });
      await nextTurn();
    }
  })();
  await queue.drained();
  expect(woken).toHaveLength(35);
  goesOn = false;
  await others;
});

it('is drained at once when nobody is due', async () => {
  await new WakeQueue().drained();
});
