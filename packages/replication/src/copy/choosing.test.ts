/** The choosing functions of the copy, each with the cases that it is there for. */
import { type Clock, limits, SluiceError } from '@sluice/core';
import {
  initialCheckpointState,
  initialSnapshotControl,
  newTable,
  newTask,
  type SnapshotControl,
  snapshotControlAfter,
  type SnapshotControlChange,
} from '@sluice/storage';
import { describe, expect, it, vi } from 'vitest';
import { READ_OVERSHOOT } from '../change-source.ts';
import { ChunkSize } from './chunk-size.ts';
import { chooseDisplaced, chooseSplit, chooseTasks, isHeld, type QueuedTask } from './copy-order.ts';
import { Forecast } from './forecast.ts';
import { FULL_ALLOWANCE, govern, placesOf, type Pressure } from './governor.ts';
import { Pace } from './pace.ts';
import { Retries } from './retries.ts';
import { StrainGauge } from './strain-gauge.ts';
import { consequenceOf } from './task-failure.ts';

const MB = 1024 * 1024;

function tableOf(id: number) {
  const name = `t${id}`;
  const relation = { sourceId: name, connectionTag: 'default', schema: 'public', name, columns: [] };
  return newTable(
    { id, relation: { ...relation, replicaIdentity: 'default' }, keyColumns: [0] },
    'shown',
    initialCheckpointState,
  );
}

function queued(table: number, index: number, megabytes: number, read = 0): QueuedTask {
  const planned = { index, range: null, rowsEstimate: 0, bytesEstimate: megabytes * MB };
  return { table: tableOf(table), task: { ...newTask(table, planned), bytes: read * MB } };
}

const names = (tasks: readonly QueuedTask[]) => tasks.map(({ table, task }) => `${table.id}.${task.index}`);
const after = (...changes: SnapshotControlChange[]) => snapshotControlAfter(initialSnapshotControl, changes);
const control = initialSnapshotControl;

describe('which task is read next', () => {
  const big = [queued(1, 0, 500), queued(1, 1, 500), queued(1, 2, 400)];
  const small = [queued(2, 0, 1), queued(3, 0, 2)];

  it('is the largest, but a table that has a place does not take one from those that have none', () => {
    expect(names(chooseTasks([...small, ...big], [], { places: 4, control }))).toEqual(['1.0', '3.0', '2.0', '1.1']);
    expect(names(chooseTasks([...big.slice(1), ...small], big.slice(0, 1), { places: 1, control }))).toEqual(['3.0']);
  });

  it('is one of the table with the highest priority', () => {
    const first = after({ kind: 'priority', table: 'public.t2', priority: 5 });
    expect(names(chooseTasks([...big, ...small], [], { places: 2, control: first }))).toEqual(['2.0', '1.0']);
    const last = after({ kind: 'priority', table: 'public.t1', priority: -1 });
    expect(names(chooseTasks([...big, ...small], [], { places: 3, control: last }))).toEqual(['3.0', '2.0', '1.0']);
  });

  it('is none when no place is free', () => {
    expect(chooseTasks(big, small, { places: 0, control })).toEqual([]);
  });

  it('displaces a running one only for a higher priority', () => {
    const first = after({ kind: 'priority', table: 'public.t2', priority: 5 });
    expect(chooseDisplaced(small, big, control)).toBeNull();
    expect(chooseDisplaced(small, big, first)?.table.id).toBe(1);
    expect(chooseDisplaced([], big, first)).toBeNull();
  });
});

describe('which task is cut in two', () => {
  it('is the one with the most left, if that is worth it', () => {
    const half = queued(1, 0, 1000, 900);
    const fresh = queued(2, 0, 300);
    expect(chooseSplit([half, fresh])).toBe(fresh);
    expect(chooseSplit([queued(1, 0, 1000, 995), queued(2, 0, 8)])).toBeNull();
    expect(chooseSplit([])).toBeNull();
  });

  it('is one that has outgrown its estimate, too', () => {
    expect(chooseSplit([queued(1, 0, 100, 900)])).not.toBeNull();
  });
});

describe('a table is held', () => {
  const hold = { kind: 'quarantined', atMs: 0, tableId: 1, code: 'SLU_S1125', message: '' } as const;
  it.each<[boolean, string, SnapshotControl]>([
    [false, 'by nobody', control],
    [true, 'by a pause of all', after({ kind: 'pauseAll' })],
    [true, 'by a pause', after({ kind: 'hold', table: 'public.t1', hold: { kind: 'paused', atMs: 0 } })],
    [true, 'by its quarantine', after({ kind: 'hold', table: 'public.t1', hold })],
    [
      false,
      'by that of another table of its name',
      after({ kind: 'hold', table: 'public.t1', hold: { ...hold, tableId: 9 } }),
    ],
    [false, 'by what concerns another', after({ kind: 'hold', table: 'public.t2', hold })],
    [
      false,
      'after it was resumed',
      after({ kind: 'hold', table: 'public.t1', hold }, { kind: 'resume', table: 'public.t1' }),
    ],
    [
      false,
      'after all were resumed',
      after({ kind: 'pauseAll' }, { kind: 'hold', table: 'public.t1', hold }, { kind: 'resumeAll' }),
    ],
  ])('%s: %s', (expected, _, said) => {
    expect(isHeld(tableOf(1), said)).toBe(expected);
  });
});

describe('the governor', () => {
  const calm: Pressure = { retainedBytes: 1, budgetBytes: null, behindMs: null, flushMs: 10 };
  const full = FULL_ALLOWANCE;
  const half = { share: 0.5, strain: 'lag' } as const;
  it.each([
    ['lets a calm copy work', full, calm, full],
    ['halves under lag', full, { ...calm, behindMs: 30_000 }, half],
    ['takes no notice of a short lag', full, { ...calm, behindMs: 5_000 }, full],
    ['halves when flushes are slow', full, { ...calm, flushMs: 3_000 }, { share: 0.5, strain: 'flush' }],
    ['halves at half of the WAL', full, { ...calm, retainedBytes: 60, budgetBytes: 40 }, { share: 0.5, strain: 'wal' }],
    [
      'nearly stops at the end of the WAL',
      full,
      { ...calm, retainedBytes: 90, budgetBytes: 10 },
      { share: 0.05, strain: 'wal' },
    ],
    [
      'nearly stops when the WAL is used up',
      full,
      { ...calm, retainedBytes: 90, budgetBytes: -5 },
      { share: 0.05, strain: 'wal' },
    ],
    [
      'never stops wholly',
      { share: 0.05, strain: 'lag' },
      { ...calm, behindMs: 99_000 },
      { share: 0.05, strain: 'lag' },
    ],
    ['comes back in steps', half, calm, { share: 0.6, strain: 'lag' }],
    ['comes back wholly', { share: 0.95, strain: 'lag' }, calm, full],
    ['knows nothing of an unlimited slot', full, { ...calm, retainedBytes: 1e12, budgetBytes: null }, full],
  ] as const)('%s', (_, before, pressure, expected) => {
    expect(govern(before, pressure)).toEqual(expected);
  });

  it('leaves at least one place', () => {
    expect([1, 0.5, 0.05].map((share) => placesOf({ share, strain: null }, 4))).toEqual([4, 2, 1]);
  });
});

/** Time passes by sleeping only. */
function slowClock(): Clock & { slept: number } {
  const clock = {
    slept: 0,
    now: () => clock.slept,
    monotonic: () => clock.slept,
    sleep: (ms: number) => {
      clock.slept += ms;
      return Promise.resolve();
    },
    timer: () => () => {},
  };
  return clock;
}

const never = new AbortController().signal;
const NOTHING = { rows: 0, bytes: 0 };

describe('the pace', () => {
  it('keeps to rows and bytes a second, over all tasks', async () => {
    const clock = slowClock();
    const pace = new Pace(clock, { rowsPerSecondMax: 1000, bytesPerSecondMax: 1e6 });
    for (let chunk = 0; chunk < 10; chunk++) {
      await pace.ready({ rows: 500, bytes: chunk < 5 ? 0 : 2e6 }, 0, never);
      expect(clock.slept).toBe(chunk < 5 ? (chunk + 1) * 500 : 2500 + (chunk - 4) * 2000);
    }
  });

  it('does not save up what was not used', async () => {
    const clock = slowClock();
    const pace = new Pace(clock, { rowsPerSecondMax: 1000, bytesPerSecondMax: null });
    await clock.sleep(60_000);
    await pace.ready({ rows: 1000, bytes: 0 }, 0, never);
    expect(clock.slept).toBe(61_000);
  });

  it('settles what a chunk was against what it was expected to be', async () => {
    const clock = slowClock();
    const pace = new Pace(clock, { rowsPerSecondMax: 1000, bytesPerSecondMax: null });
    const expected = { rows: 100, bytes: 0 };
    await pace.ready(expected, 0, never);
    pace.settle(expected, { rows: 2100, bytes: 0 });
    await pace.ready(expected, 0, never);
    expect(clock.slept).toBe(100 + 2000 + 100);
    pace.settle(expected, { rows: 0, bytes: 0 });
    await clock.sleep(50);
    await pace.ready(expected, 0, never);
    expect(clock.slept).toBe(2200 + 50 + 100);
  });

  it('asks nothing of a task that was stopped while it waited', async () => {
    const clock = slowClock();
    const pace = new Pace(clock, { rowsPerSecondMax: 1000, bytesPerSecondMax: null });
    const sleeping = vi.spyOn(clock, 'sleep').mockRejectedValueOnce(new Error('stopped'));
    await expect(pace.ready({ rows: 5000, bytes: 0 }, 0, never)).rejects.toThrow('stopped');
    sleeping.mockRestore();
    await pace.ready({ rows: 1000, bytes: 0 }, 0, never);
    expect(clock.slept).toBe(1000);
  });

  it('rests as long as it worked at a share of a half', async () => {
    const clock = slowClock();
    const pace = new Pace(clock, { rowsPerSecondMax: null, bytesPerSecondMax: null });
    await pace.ready(NOTHING, 400, never);
    expect(clock.slept).toBe(0);
    pace.allowance = { share: 0.5, strain: 'lag' };
    await pace.ready(NOTHING, 400, never);
    expect(clock.slept).toBe(400);
  });
});

describe('the size of chunks', () => {
  it('follows what half a second takes, and keeps to its bounds', () => {
    const size = new ChunkSize();
    for (let i = 0; i < 20; i++) size.took((size.halfBytes / (4 * MB)) * 1000);
    expect(size.halfBytes).toBeGreaterThan(0.9 * MB);
    expect(size.halfBytes).toBeLessThan(1.1 * MB);
    for (let i = 0; i < 20; i++) size.took(0);
    expect(2 * size.halfBytes).toBe(limits.snapshotChunkBytesMax);
    for (let i = 0; i < 20; i++) size.took(60_000);
    expect(size.halfBytes).toBe(64 * 1024);
  });

  it('holds one chunk and no more: a read that may still be begun fits into its half', () => {
    const size = new ChunkSize();
    for (const ms of [0, 0, 0, 0, 900, 10, 60_000, 60_000]) {
      expect(size.fullBytes + READ_OVERSHOOT * size.readBytes).toBeLessThanOrEqual(size.halfBytes);
      size.took(ms);
    }
  });

  it('is told before it is read, by the plan and then by the last one', () => {
    const task = newTask(1, { index: 0, range: null, rowsEstimate: 100, bytesEstimate: 10_000 });
    const forecast = new Forecast(task);
    expect(forecast.of(4000)).toEqual({ bytes: 4000, rows: 40 });
    forecast.saw({ bytes: 4000, rows: 8 });
    expect(forecast.of(50_000)).toEqual({ bytes: 6000, rows: 12 });
    forecast.saw({ bytes: 6000, rows: 12 });
    expect(forecast.of(50_000)).toEqual({ bytes: 50_000, rows: 100 });
    expect(new Forecast({ ...task, bytesEstimate: 0 }).of(10)).toMatchObject({ bytes: 10 });
  });
});

describe('what a failure means', () => {
  it.each([
    ['PSYNC_S1121', 99, 'retry'],
    ['SLU_S1151', 99, 'retry'],
    ['PSYNC_S1120', 1, 'retry'],
    ['PSYNC_S1120', 6, 'quarantine'],
    ['SLU_S1125', 1, 'quarantine'],
    ['SLU_S1156', 1, 'quarantine'],
    ['SLU_R1105', 1, 'quarantine'],
    ['SLU_R1103', 1, 'attempt'],
    ['SLU_T1203', 1, 'attempt'],
    ['SLU_R1101', 1, 'attempt'],
    ['SLU_X0001', 1, 'attempt'],
  ] as const)('%s, %i in a row: %s', (code, failures, expected) => {
    expect(consequenceOf(new SluiceError(code, ''), failures)).toBe(expected);
  });

  it('is counted anew when the task got further in between', () => {
    const retries = new Retries(slowClock(), () => 0.5);
    const tried = { tableId: 1, generation: 1, index: 0, cursor: 'a' };
    const error = new SluiceError('PSYNC_S1120', 'no');
    expect([1, 2, 3].map(() => retries.failed(tried, error))).toEqual([375, 750, 1500]);
    expect(retries.mustWait(tried)).toBe(true);
    expect(retries.facts()).toMatchObject([{ index: 0, failures: 3, code: 'PSYNC_S1120', nextAtMs: 1500 }]);
    expect(retries.failuresOf({ ...tried, cursor: 'b' })).toBe(1);
    retries.succeeded(tried);
    expect(retries.mustWait(tried)).toBe(false);
    expect(retries.failuresOf(tried)).toBe(1);
  });
});

describe('the strain', () => {
  it('is the age of the oldest head that is not durable here, and the time of the flushes since', async () => {
    const clock = slowClock();
    const gauge = new StrainGauge(clock);
    const health = { acknowledged: null, retainedBytes: 7, budgetBytes: 8 };
    const at = (head: string) => ({ ...health, head, limitBytes: null, status: '', failure: null, active: true });
    const idle = { durable: '05', flushes: 0, flushMs: 0 };
    expect(gauge.read(at('05'), idle)).toEqual({ retainedBytes: 7, budgetBytes: 8, behindMs: null, flushMs: null });
    expect(gauge.read(at('06'), idle).behindMs).toBe(0);
    await clock.sleep(3000);
    const busy = gauge.read(at('08'), { durable: '05', flushes: 4, flushMs: 1000 });
    expect(busy).toMatchObject({ behindMs: 3000, flushMs: 250 });
    await clock.sleep(1000);
    expect(gauge.read(at('09'), { ...idle, durable: '07' }).behindMs).toBe(1000);
  });
});
