import { systemClock } from '@sluice/core';
import { expect, it } from 'vitest';
import { ReaderStalled, ReaderWait } from './reader-wait.ts';

/** A clock that is moved by hand, with the timers that are set. */
function world() {
  let nowMs = 0;
  const timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const clock = {
    ...systemClock,
    monotonic: () => nowMs,
    timer: (ms: number, callback: () => void) => {
      const timer = { atMs: nowMs + ms, callback };
      timers.push(timer);
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
    },
  };
  const end = new AbortController();
  const pass = (ms: number) => {
    const endMs = nowMs + ms;
    for (let due = timers[0]; due !== undefined && due.atMs <= endMs; due = timers[0]) {
      timers.shift();
      nowMs = due.atMs;
      due.callback();
    }
    nowMs = endMs;
  };
  return { wait: new ReaderWait(clock, end.signal), end, pass, timers };
}

it('gives a reader up after 30 s of one wait, whatever waits came before it', async () => {
  const { wait, pass, timers } = world();
  for (let part = 0; part < 10; part++) {
    const taken = wait.untilDone();
    pass(20_000);
    wait.done();
    await taken;
    expect(timers.length).toBeLessThanOrEqual(1);
  }
  let outcome = 'waits';
  const given = wait.untilDone().catch((error: unknown) => {
    outcome = error instanceof ReaderStalled ? 'stalled' : 'failed';
  });
  pass(29_999);
  await Promise.resolve();
  expect(outcome).toBe('waits');
  pass(1);
  await given;
  expect(outcome).toBe('stalled');
});

it('ends a wait, and all that follow, when the client is gone', async () => {
  const { wait, end } = world();
  const gone = new Error('gone');
  const waiting = wait.untilDone();
  end.abort(gone);
  await expect(waiting).rejects.toBe(gone);
  await expect(wait.untilDone()).rejects.toBe(gone);
});

it('leaves no timer behind', async () => {
  const { wait, timers } = world();
  const taken = wait.untilDone();
  wait.done();
  await taken;
  wait.close();
  expect(timers).toEqual([]);
});
