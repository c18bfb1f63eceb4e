import { systemClock } from '@sluice/core';
import { expect, it } from 'vitest';
import { CopyProgress } from './copy-progress.ts';

let now = 0;
const clock = { ...systemClock, monotonic: () => now };

it('counts every moment of a task to exactly one stage, of tables and of the whole, too', () => {
  now = 1000;
  const progress = new CopyProgress(clock);
  const first = progress.startTask(7, 0);
  const second = progress.startTask(7, 1);
  const other = progress.startTask(9, 0);
  now += 10;
  first.enter('read');
  second.enter('read');
  now += 100;
  first.enter('evaluate');
  other.enter('read');
  now += 30;
  first.enter('flush');
  first.flushed({ rows: 50, bytes: 500, ops: 60, flushMs: 25 });
  now += 5;
  progress.endTask(7, 0);
  now += 1000;
  const facts = progress.facts();
  // The first ended after 145 ms, the others are under way since 1145 ms.
  expect(facts.elapsedMs).toBe(145 + 1145 + 1145);
  expect(facts.stages).toEqual({ wait: 10 + 10 + 110, read: 100 + 1135 + 1035, evaluate: 30, flush: 5 });
  expect(facts.tables.get(7)).toMatchObject({
    rows: 50,
    elapsedMs: 145 + 1145,
    stages: { wait: 20, read: 1235, evaluate: 30, flush: 5 },
  });
  expect([...(facts.tables.get(7)?.tasks.entries() ?? [])]).toMatchObject([[1, { rows: 0, elapsedMs: 1145 }]]);
  expect(facts).toMatchObject({ rows: 50, bytes: 500, ops: 60, chunks: 1, flushMs: 25 });
});

it('tells the rate of the last half minute, not of all time', () => {
  now = 123_456;
  const progress = new CopyProgress(clock);
  const task = progress.startTask(1, 0);
  expect(progress.facts().rowsPerSecond).toBeNull();
  for (let second = 0; second < 100; second++) {
    task.flushed({ rows: 1000, bytes: 0, ops: 0, flushMs: 0 });
    now += 1000;
  }
  expect(progress.facts().rowsPerSecond).toBeCloseTo(1000, -2);
  for (let second = 0; second < 30; second++) {
    task.flushed({ rows: 10, bytes: 0, ops: 0, flushMs: 0 });
    now += 1000;
  }
  expect(progress.facts().rowsPerSecond).toBeCloseTo(10, 0);
  now += 60_000;
  expect(progress.facts().rowsPerSecond).toBe(0);
});
