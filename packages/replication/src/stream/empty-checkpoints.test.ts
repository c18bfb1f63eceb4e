import type { Clock } from '@sluice/core';
import { expect, test } from 'vitest';
import { EmptyCheckpoints } from './empty-checkpoints.ts';

/** Time that moves when it is told to. */
function handClock() {
  let now = 0;
  let timers: { readonly at: number; readonly callback: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: () => Promise.reject(new Error('not used')),
    timer: (ms, callback) => {
      const timer = { at: now + ms, callback };
      timers.push(timer);
      return () => (timers = timers.filter((each) => each !== timer));
    },
  };
  const advance = (ms: number) => {
    now += ms;
    for (const timer of timers.filter(({ at }) => at <= now)) {
      timers = timers.filter((each) => each !== timer);
      timer.callback();
    }
  };
  return { clock, advance };
}

test('the first position goes out at once, the next ones ever later, the newest of those that wait', () => {
  const { clock, advance } = handClock();
  const late: string[] = [];
  const empty = new EmptyCheckpoints(clock, (position) => late.push(position));
  expect(empty.isDue('1')).toBe(true);
  expect(empty.isDue('2')).toBe(false);
  expect(empty.isDue('3')).toBe(false);
  advance(49);
  expect(late).toEqual([]);
  advance(1);
  expect(late).toEqual(['3']);
  advance(99);
  expect(empty.isDue('4')).toBe(false);
  advance(1);
  expect(late).toEqual(['3', '4']);
});

test('a position that each publication makes anew settles at one every two seconds', () => {
  const { clock, advance } = handClock();
  let published = 0;
  const empty: EmptyCheckpoints = new EmptyCheckpoints(clock, () => {
    published++;
    empty.isDue('next');
  });
  empty.isDue('first');
  empty.isDue('next');
  for (let ms = 0; ms < 60_000; ms += 10) advance(10);
  expect(published).toBeLessThan(40);
  const settled = published;
  for (let ms = 0; ms < 60_000; ms += 10) advance(10);
  expect(published - settled).toBeGreaterThanOrEqual(29);
  expect(published - settled).toBeLessThanOrEqual(31);
});

test('after a transaction the next position goes out at once', () => {
  const { clock } = handClock();
  const empty = new EmptyCheckpoints(clock, () => undefined);
  expect(empty.isDue('1')).toBe(true);
  expect(empty.isDue('2')).toBe(false);
  empty.sawNews();
  expect(empty.isDue('3')).toBe(true);
});

test('nothing is published after the end', () => {
  const { clock, advance } = handClock();
  const late: string[] = [];
  const empty = new EmptyCheckpoints(clock, (position) => late.push(position));
  empty.isDue('1');
  empty.isDue('2');
  empty.stop();
  advance(10_000);
  expect(late).toEqual([]);
});
