import { systemClock } from '@sluice/core';
import type { EngineStreamFacts, ReplicatorFacts } from '@sluice/replication';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../role.ts';
import { ProgressWatch } from './progress-watch.ts';
import { noCopy, noStream } from './test-facts.ts';

type Changing<T> = { -readonly [K in keyof T]: T[K] };

let now: number;
let stream: number | null;
let engine: EngineStreamFacts[];
let replicator: Changing<ReplicatorFacts>;
let watch: ProgressWatch;
let role: Role;
let storageSilentMs: number;
let stopping: boolean;
const healthy = { storageSilentMs: 0, stopping: false };
const clock = { ...systemClock, now: () => 1_800_000_000_000 + now, monotonic: () => now };

beforeEach(() => {
  now = 0;
  stream = 1;
  role = 'all';
  ({ storageSilentMs, stopping } = healthy);
  replicator = {
    phase: 'streaming',
    restart: null,
    stream: noStream({ commits: 1, durable: '0005' }),
    snapshot: noCopy(),
    copy: null,
    health: null,
    healthAtMs: null,
    walBudget: null,
    problems: [],
    rowErrors: 0,
    budgetUsedBytes: 0,
    budgetMaxBytes: 1,
  };
  engine = [{ streamId: 1, replicator, copier: null, error: null, halted: false }];
  watch = new ProgressWatch(clock, () => ({ served: stream, engine, role, storageSilentMs, stopping }));
});

/** The source's head as it is asked for every two seconds. */
function sourceHead(head: string): void {
  const health = {
    acknowledged: null,
    retainedBytes: null,
    budgetBytes: null,
    status: 'reserved',
    active: true,
    limitBytes: null,
    failure: null,
  };
  replicator.health = { head, ...health };
  replicator.healthAtMs = clock.now();
}

function pass(seconds: number, eachSecond: () => void = () => {}): void {
  for (let second = 0; second < seconds; second++) {
    now += 1000;
    eachSecond();
    watch.sample();
  }
}

describe('readiness', () => {
  it('is not there before clients can be served', () => {
    stream = null;
    expect(watch.verdict()).toMatchObject({
      ready: false,
      started: false,
      reason: expect.stringContaining('first copy'),
    });
  });

  it('holds for hours on an idle source that is asked for its head', () => {
    pass(7200, () => sourceHead('0005'));
    expect(watch.verdict()).toMatchObject({ ready: true, started: true });
  });

  it('holds while replication moves, however far behind it is', () => {
    pass(600, () => {
      sourceHead('9999');
      replicator.stream.changes++;
    });
    expect(watch.verdict().ready).toBe(true);
  });

  it('ends within 30 s when the head moves and nothing arrives, and comes back', () => {
    pass(10, () => sourceHead('0005'));
    expect(watch.verdict().ready).toBe(true);
    pass(30, () => sourceHead('0006'));
    expect(watch.verdict()).toMatchObject({ ready: false, started: true, reason: expect.stringContaining('30 s') });
    replicator.stream.durable = '0006';
    pass(1, () => sourceHead('0006'));
    expect(watch.verdict().ready).toBe(true);
  });

  it('ends within 30 s when the source does not answer, though nothing else is wrong', () => {
    pass(10, () => sourceHead('0005'));
    pass(30);
    expect(watch.verdict().ready).toBe(false);
  });

  it('ends when replication fails again and again', () => {
    pass(10, () => sourceHead('0005'));
    engine = [
      {
        streamId: 1,
        replicator: null,
        copier: null,
        halted: false,
        error: { code: 'PSYNC_S1121', message: 'no route', hint: '', atMs: 0 },
      },
    ];
    pass(30);
    expect(watch.verdict()).toMatchObject({ ready: false, reason: expect.stringContaining('[PSYNC_S1121] no route') });
  });

  it('ends at once when replication has halted', () => {
    pass(10, () => sourceHead('0005'));
    engine = [
      {
        streamId: 1,
        replicator: null,
        copier: null,
        halted: true,
        error: { code: 'PSYNC_S1146', message: 'the slot is lost', hint: '', atMs: 0 },
      },
    ];
    expect(watch.verdict()).toMatchObject({ ready: false, reason: expect.stringContaining('[PSYNC_S1146]') });
  });

  it('ends when a gate stays closed and no copy moves behind it', () => {
    const streaming = () => {
      replicator.stream.durable = String(now).padStart(8, '0');
      sourceHead(replicator.stream.durable);
    };
    replicator.stream.gate = 'snapshot';
    pass(600, () => {
      streaming();
      replicator.snapshot = noCopy({ rows: replicator.snapshot.rows + 10 });
    });
    expect(watch.verdict().ready).toBe(true);
    pass(61, streaming);
    expect(watch.verdict()).toMatchObject({ ready: false, reason: expect.stringContaining('a gate') });
  });

  it('is no matter of replication for a standby, or where another process replicates', () => {
    engine = [
      {
        streamId: 1,
        replicator: null,
        copier: null,
        halted: false,
        error: { code: 'PSYNC_S1003', message: '', hint: '', atMs: 0 },
      },
    ];
    pass(300);
    expect(watch.verdict().ready).toBe(true);
    const server = new ProgressWatch(clock, () => ({ ...healthy, served: 1, engine: [], role: 'serve' }));
    expect(server.verdict().ready).toBe(true);
  });

  it('is there for a standby that serves nobody, and for a replicator that copies for the first time', () => {
    role = 'replicate';
    stream = null;
    engine = [
      {
        streamId: 1,
        replicator: null,
        copier: null,
        halted: false,
        error: { code: 'PSYNC_S1003', message: '', hint: '', atMs: 0 },
      },
    ];
    pass(300);
    expect(watch.verdict()).toMatchObject({ ready: true, reason: expect.stringContaining('standing by') });
    engine = [{ streamId: 1, replicator, copier: null, error: null, halted: false }];
    replicator.stream.gate = 'snapshot';
    const copying = () => {
      replicator.stream.durable = String(now).padStart(8, '0');
      replicator.snapshot = noCopy({ rows: replicator.snapshot.rows + 10 });
    };
    pass(300, copying);
    expect(watch.verdict().ready).toBe(true);
    pass(300);
    expect(watch.verdict().ready).toBe(false);
    engine = [];
    expect(watch.verdict()).toMatchObject({ ready: true, reason: expect.stringContaining('nothing to replicate') });
  });

  it('ends in every role when storage does not answer, and when the service is stopped', () => {
    for (role of ['all', 'replicate', 'serve'] as const) {
      pass(5, () => sourceHead('0005'));
      expect(watch.verdict().ready).toBe(true);
      storageSilentMs = 21_000;
      expect(watch.verdict()).toMatchObject({ ready: false, reason: expect.stringContaining('storage') });
      storageSilentMs = 0;
      stopping = true;
      expect(watch.verdict()).toMatchObject({ ready: false, reason: expect.stringContaining('shutting down') });
      stopping = false;
    }
  });

  it('gives a stream that takes over its own time', () => {
    pass(10, () => sourceHead('0005'));
    pass(100);
    expect(watch.verdict().ready).toBe(false);
    stream = 2;
    engine = [{ streamId: 2, replicator, copier: null, error: null, halted: false }];
    expect(watch.verdict().ready).toBe(true);
    pass(30);
    expect(watch.verdict().ready).toBe(false);
  });
});

/** What a watch would see that lacked one of its proofs; each must miss what the real one notices (rule R15). */
describe('a watch without', () => {
  type Seen = (facts: Changing<ReplicatorFacts>) => ReplicatorFacts;
  const asTheyAre: Seen = (facts) => ({ ...facts });
  const readyThrough = (seen: Seen, seconds: number, eachSecond: () => void): boolean => {
    watch = new ProgressWatch(clock, () => {
      const streams = engine.map((each) => ({ ...each, replicator: seen(replicator) }));
      return { served: stream, engine: streams, role, storageSilentMs, stopping };
    });
    pass(10, () => sourceHead('0005'));
    expect(watch.verdict().ready).toBe(true);
    pass(seconds, eachSecond);
    return watch.verdict().ready;
  };

  it.each<[string, Seen, number, () => void]>([
    [
      "the source's own head",
      ({ health, ...facts }) => ({ ...facts, health: health && { ...health, head: facts.stream.durable ?? '' } }),
      30,
      () => sourceHead('0006'),
    ],
    ['the age of that head', (facts) => ({ ...facts, healthAtMs: clock.now() }), 30, () => {}],
    [
      'the age of the last checkpoint',
      (facts) => ({ ...facts, stream: { ...facts.stream, gate: null } }),
      70,
      () => {
        replicator.stream.gate = 'boundary';
        replicator.stream.durable = String(now).padStart(8, '0');
        sourceHead(replicator.stream.durable);
      },
    ],
  ])('%s', (_, blind, seconds, eachSecond) => {
    expect(readyThrough(blind, seconds, eachSecond)).toBe(true);
    replicator.stream = noStream({ commits: 1, durable: '0005' });
    expect(readyThrough(asTheyAre, seconds, eachSecond)).toBe(false);
  });
});
