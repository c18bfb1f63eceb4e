/**
 * The watchdog of the stream's socket (rule R15): a server that says nothing is given up, one that has nothing to say is not.
 * Time is the test's own. Each part of the watchdog is taken out in turn, and what it is there for goes wrong.
 */
import { nextTurn, SluiceError } from '@sluice/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeClock } from '../../../packages/sync/src/fake-clock.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { sourceOn } from '../../../test/kit/postgres-source.ts';
import type { PostgresSourceConfig } from './config.ts';

const HOUR_S = 3600;
const NEVER = Number.POSITIVE_INFINITY;
/** The server does not end the connection by itself. */
const PATIENT: PostgresSourceConfig = { walSenderTimeoutMs: 0 };

let postgres: TestPostgres;
let database: TestDatabase;
beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query('create table t (id int primary key); create publication powersync for all tables');
});
afterAll(() => postgres.stop());

interface Streaming {
  readonly clock: FakeClock;
  /** How often something has arrived. */
  batches(): number;
  /** What the stream broke off with; null while it runs. */
  failure(): unknown;
  /** The server process behind it. */
  readonly pid: number;
}

/** Streams under `config` while `work` runs. */
async function streaming<T>(config: PostgresSourceConfig, work: (streaming: Streaming) => Promise<T>): Promise<T> {
  const clock = new FakeClock();
  const source = sourceOn(database, { ...PATIENT, ...config }, clock);
  const { saved } = await source.open(null);
  const stop = new AbortController();
  let batches = 0;
  let failure: unknown = null;
  const running = (async () => {
    for await (const batch of source.stream(stop.signal)) batches += batch.length;
  })().catch((error: unknown) => {
    failure = error;
  });
  try {
    await expect.poll(() => batches).toBeGreaterThan(0);
    const [{ pid } = { pid: 0 }] = await database.query<{ pid: number }>(
      'select active_pid as pid from pg_replication_slots where active and database = current_database()',
    );
    return await work({ clock, pid, batches: () => batches, failure: () => failure });
  } finally {
    stop.abort();
    clock.advance(1_000);
    await running;
    await source.teardown(saved);
    await source.close();
  }
}

/** @returns what the stream broke off with in an hour of silence; null if nothing */
async function inSilence(config: PostgresSourceConfig): Promise<unknown> {
  return streaming(config, async ({ clock, pid, failure }) => {
    process.kill(pid, 'SIGSTOP');
    try {
      for (let second = 0; second < HOUR_S && failure() === null; second++) {
        clock.advance(1_000);
        await nextTurn();
      }
      return failure();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
}

/** Ten minutes of a server that lives, and has nothing to say but what it is asked for. */
async function inIdleness(config: PostgresSourceConfig): Promise<unknown> {
  return streaming(config, async ({ clock, batches, failure }) => {
    const isAsked = config.heartbeatIntervalMs !== NEVER;
    for (let minute = 0; minute < 10 && failure() === null; minute++) {
      const before = batches();
      for (let second = 0; second < 60; second++) {
        clock.advance(1_000);
        await nextTurn();
      }
      // Whoever was asked, answers.
      if (isAsked) await expect.poll(() => batches() > before || failure() !== null).toBe(true);
    }
    return failure();
  });
}

const silent = { code: 'SLU_S1151', message: expect.stringContaining('silent') };

describe('a server that falls silent', () => {
  it('is given up', async () => {
    expect(await inSilence({})).toMatchObject(silent);
  });

  it('would be waited for without the deadline', async () => {
    expect(await inSilence({ readDeadlineMs: NEVER })).toBeNull();
  });
});

describe('a server that is idle', () => {
  it('is asked for a sign of life, and kept', async () => {
    expect(await inIdleness({})).toBeNull();
  });

  it('would be given up if it were not asked', async () => {
    const failure = await inIdleness({ heartbeatIntervalMs: NEVER });
    expect(failure).toBeInstanceOf(SluiceError);
    expect(failure).toMatchObject(silent);
  });
});
