import { describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { TokenSchedule } from './token-schedule.ts';

function run(secondsToLive: number, options: { random?: number } = {}): [number, number][] {
  const clock = new FakeClock(0);
  const schedule = new TokenSchedule({ clock, random: () => options.random ?? 0.5, expiresAtMs: secondsToLive * 1000 });
  const said: [number, number][] = [];
  for (;;) {
    clock.advance(schedule.msUntilDue());
    const value = schedule.take();
    if (value === null) throw new Error('nothing was due when it was said to be');
    said.push([clock.now() / 1000, value]);
    if (value === 0) return said;
  }
}

describe('the token schedule', () => {
  it('keeps alive about every 20 s, warns 20 s before the end, and ends with 0', () => {
    expect(run(70)).toEqual([
      [20, 50],
      [40, 30],
      [50, 20],
      [70, 0],
    ]);
  });

  it('spreads keepalives by a tenth', () => {
    expect(run(100, { random: 0 })[0]).toEqual([18, 82]);
    expect(run(100, { random: 1 })[0]).toEqual([22, 78]);
  });

  it('says a single 0 for a token that has expired already', () => {
    expect(run(-30)).toEqual([[0, 0]]);
  });

  it('rounds up, so that the last second is not said to be over', () => {
    const clock = new FakeClock(0);
    const schedule = new TokenSchedule({ clock, random: () => 0.5, expiresAtMs: 60_400 });
    clock.advance(20_000);
    expect(schedule.take()).toBe(41);
    expect(schedule.take()).toBeNull();
  });
});
