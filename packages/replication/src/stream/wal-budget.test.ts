import { silentLogger, systemClock } from '@sluice/core';
import { expect, test } from 'vitest';
import type { SourceHealth } from '../change-source.ts';
import { WalBudget } from './wal-budget.ts';

function setUp() {
  let now = 0;
  const warnings: unknown[] = [];
  const clock = { ...systemClock, monotonic: () => now };
  const logger = { ...silentLogger, warn: (facts: object) => void warnings.push(facts) };
  const source = { bytesBetween: (from: string, to: string) => Number(to) - Number(from) };
  const budget = new WalBudget({ source, clock, logger });
  const look = (atMs: number, head: number, left: number | null) => {
    now = atMs;
    const health: SourceHealth = {
      head: String(head),
      acknowledged: null,
      retainedBytes: null,
      budgetBytes: left,
      limitBytes: left === null ? null : 1000,
      status: 'extended',
      active: true,
      failure: null,
    };
    budget.observe(health);
    return budget.facts();
  };
  return { look, warnings };
}

test('tells how long the rest lasts as it shrinks, and how long the stream could stand still', () => {
  const { look } = setUp();
  look(0, 0, 900);
  expect(look(2000, 200, 800)).toEqual({ limitBytes: 1000, leftBytes: 800, secondsLeft: 16, outageSeconds: 8 });
});

test('a rest that does not shrink lasts for ever, and an idle source waits for ever', () => {
  const { look } = setUp();
  look(0, 0, 900);
  expect(look(2000, 200, 900)).toMatchObject({ secondsLeft: null, outageSeconds: 9 });
  const idle = setUp();
  idle.look(0, 0, 900);
  expect(idle.look(2000, 0, 950)).toMatchObject({ secondsLeft: null, outageSeconds: null });
});

test('warns once at each threshold, and again after it recovered', () => {
  const { look, warnings } = setUp();
  for (const [at, left] of [600, 500, 450, 240, 200, 90, 80, 900, 400].entries()) look(at * 2000, 0, left);
  expect(warnings).toMatchObject([{ leftBytes: 500 }, { leftBytes: 240 }, { leftBytes: 90 }, { leftBytes: 400 }]);
});

test('says nothing where there is no limit', () => {
  const { look, warnings } = setUp();
  expect(look(0, 0, null)).toBeNull();
  expect(warnings).toEqual([]);
});
