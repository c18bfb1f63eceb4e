import { expect, test } from 'vitest';
import { Latest } from './latest.ts';

test('a waiter that saw an older version is not made to wait', async () => {
  const latest = new Latest('a');
  const seen = latest.version;
  latest.set('b');
  await latest.changed(seen);
  expect(latest.value).toBe('b');
});

test('all waiters are woken by one set, and see the newest value', async () => {
  const latest = new Latest(0);
  const woken = [latest.changed(0), latest.changed(0)].map((wait) => wait.then(() => latest.value));
  latest.set(1);
  latest.set(2);
  expect(await Promise.all(woken)).toEqual([2, 2]);
});

test('an aborted wait rejects with the reason and leaves the others alone', async () => {
  const latest = new Latest(0);
  const abort = new AbortController();
  const aborted = latest.changed(0, abort.signal);
  const other = latest.changed(0);
  abort.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  latest.set(1);
  await other;
});
