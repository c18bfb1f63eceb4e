import { expect, test } from 'vitest';
import { ByteBudget } from './byte-budget.ts';

const never = new AbortController().signal;

test('requests wait in order until enough was given back', async () => {
  const budget = new ByteBudget(100, 20);
  await budget.take(60, never);
  const order: string[] = [];
  const second = budget.take(50, never).then(() => order.push('second'));
  const third = budget.take(10, never).then(() => order.push('third'));
  await Promise.resolve();
  expect(order).toEqual([]);
  budget.give(60);
  await Promise.all([second, third]);
  expect(order).toEqual(['second', 'third']);
  expect(budget.used).toBe(60);
});

test('a request larger than the budget is granted alone', async () => {
  const budget = new ByteBudget(100, 20);
  await budget.take(500, never);
  let granted = false;
  const next = budget.take(1, never).then(() => {
    granted = true;
  });
  await Promise.resolve();
  expect(granted).toBe(false);
  budget.give(500);
  await next;
});

test('an aborted wait does not keep its place', async () => {
  const budget = new ByteBudget(100, 20);
  await budget.take(70, never);
  const abort = new AbortController();
  const aborted = budget.take(80, abort.signal);
  const behind = budget.take(5, never);
  abort.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  await behind;
  expect(budget.used).toBe(75);
});
