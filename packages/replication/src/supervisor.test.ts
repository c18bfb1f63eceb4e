import { type Clock, silentLogger, SluiceError } from '@sluice/core';
import { expect, test } from 'vitest';
import { backoffMs, supervise } from './supervisor.ts';

function fakeClock() {
  const waits: number[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      waits.push(ms);
      now += ms;
    },
    timer: () => () => {},
  };
  return { clock, waits, pass: (ms: number) => (now += ms) };
}

test('a retryable failure is tried again with growing waits, until an attempt lasted', async () => {
  const { clock, waits, pass } = fakeClock();
  const abort = new AbortController();
  let attempts = 0;
  await supervise(
    {
      attempt: async () => {
        attempts++;
        if (attempts === 4) pass(31_000);
        if (attempts === 6) abort.abort();
        throw new SluiceError('PSYNC_S1121', 'no route');
      },
      onFailure: async () => {},
      clock,
      random: () => 1,
      logger: silentLogger,
    },
    abort.signal,
  );
  expect(waits).toEqual([500, 1000, 2000, 500, 1000]);
});

test('a failure that a person must mend is not tried again', async () => {
  const { clock, waits } = fakeClock();
  const abort = new AbortController();
  const failures: string[] = [];
  const supervised = supervise(
    {
      attempt: async () => {
        throw new SluiceError('SLU_S1150', 'another cluster answers');
      },
      onFailure: async (error) => {
        failures.push(error.code);
      },
      clock,
      random: () => 1,
      logger: silentLogger,
    },
    abort.signal,
  );
  await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  await supervised;
  expect({ failures, waits }).toEqual({ failures: ['SLU_S1150'], waits: [] });
});

test('who stands by says so once, looks again every second, and does not count it as failing', async () => {
  const { clock, waits } = fakeClock();
  const abort = new AbortController();
  const said: string[] = [];
  const logger = { ...silentLogger, info: (_: object, message: string) => void said.push(message) };
  let attempts = 0;
  await supervise(
    {
      attempt: async () => {
        attempts++;
        if (attempts === 40) throw new SluiceError('PSYNC_S1121', 'no route');
        if (attempts === 43) abort.abort();
        throw new SluiceError('PSYNC_S1003', 'stream 1 is written by another');
      },
      onFailure: async () => {},
      clock,
      random: () => 1,
      logger,
    },
    abort.signal,
  );
  expect(waits).toEqual([...Array<number>(39).fill(1000), 500, 1000, 1000]);
  // Once for each time that it began.
  expect(said).toEqual(Array<string>(2).fill('standing by: stream 1 is written by another'));
});

test('back-off is jittered between half and the whole, and bounded', () => {
  expect(backoffMs(1, () => 0)).toBe(250);
  expect(backoffMs(30, () => 1)).toBe(30_000);
});
