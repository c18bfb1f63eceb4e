import type { Position } from '@sluice/core';
import { expect, test } from 'vitest';
import { Gaps } from './gaps.ts';

/** Completions that end when they are told to. */
function heldCompletions() {
  const running: ((readBefore: Position | null) => void)[] = [];
  const complete = () => new Promise<Position | null>((end) => running.push(end));
  return { running, complete };
}

test('gaps of whoever wrote before, and of a replay, are closed once, before the first commit that could show them', async () => {
  const { running, complete } = heldCompletions();
  const gaps = new Gaps('5', complete);
  gaps.leave();
  await gaps.close('4');
  gaps.leave();
  await gaps.close('4');
  expect(running).toHaveLength(0);
  const closed = gaps.close('5');
  expect(running).toHaveLength(1);
  running[0]?.(null);
  await closed;
  await gaps.close('6');
  expect(running).toHaveLength(1);
});

test('a re-read holds commits up to its own position, and so gaps up to there wait for it', async () => {
  const { running, complete } = heldCompletions();
  const gaps = new Gaps('', complete);
  const closed = gaps.close('1');
  running[0]?.('7');
  await closed;
  gaps.leave();
  expect(gaps.areShownAt('6')).toBe(false);
  expect(gaps.areShownAt('7')).toBe(true);
});

test('gaps that are left while others are closed are closed, too, before either commit goes on', async () => {
  const { running, complete } = heldCompletions();
  const gaps = new Gaps('', complete);
  const order: string[] = [];
  const first = gaps.close('1').then(() => order.push('first'));
  gaps.leave();
  const second = gaps.close('2').then(() => order.push('second'));
  expect(running).toHaveLength(1);
  running[0]?.(null);
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual([]);
  expect(running).toHaveLength(2);
  running[1]?.(null);
  await Promise.all([first, second]);
});

test('a completion that failed is tried again by the next commit', async () => {
  let calls = 0;
  const gaps = new Gaps('', () => (calls++ === 0 ? Promise.reject(new Error('gone')) : Promise.resolve(null)));
  await expect(gaps.close('1')).rejects.toThrow('gone');
  await gaps.close('1');
  expect(calls).toBe(2);
});
