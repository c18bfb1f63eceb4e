import { describe, expect, test } from 'vitest';
import { armedFailpoints } from './arm.ts';
import { replaced } from './replaced.ts';

describe('arming a failpoint', () => {
  test('nothing is armed without the variable', () => {
    expect(armedFailpoints({})).toBeNull();
    expect(armedFailpoints({ SLUICE_TEST_FAILPOINT: '' })).toBeNull();
  });

  test.each(['copy.flushd', 'copy.flushed:0', 'copy.flushed:x', ':1'])('%s is refused', (text) => {
    expect(() => armedFailpoints({ SLUICE_TEST_FAILPOINT: text })).toThrow('is not a failpoint and a number');
  });

  test('other points, and earlier times, pass', () => {
    const failpoints = armedFailpoints({ SLUICE_TEST_FAILPOINT: 'copy.flushed:2' });
    failpoints?.pass('copy.read');
    failpoints?.pass('copy.read');
    failpoints?.pass('copy.flushed');
    expect(failpoints).not.toBeNull();
  });
});

test('what is not replaced is called on the object itself', () => {
  class Counter {
    #n = 0;
    up(): number {
      return ++this.#n;
    }
    get value(): number {
      return this.#n;
    }
    name(): string {
      return 'inner';
    }
  }
  const counter = replaced(new Counter(), { name: () => 'outer' });
  expect([counter.up(), counter.up(), counter.value, counter.name()]).toEqual([1, 2, 2, 'outer']);
});
