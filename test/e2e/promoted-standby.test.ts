/** A standby takes over: with our slot the stream goes on at it, without it all rows are compared, and there is no way back. */
import type { Position } from '@sluice/core';
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import type { ChangeSource, StoredReach } from '@sluice/replication';
import { createPostgresSource } from '@sluice/source-postgres';
import type { JsonValue } from '@sluice/storage';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { streamToHead } from '../kit/postgres-source.ts';
import { startStandby } from '../kit/standby.ts';
import type { EmbeddedPostgres } from '../../service/src/dev/embedded-postgres.ts';

const SYNCED_SLOTS_SINCE = 170_000;

let primary: TestPostgres;
let standby: EmbeddedPostgres | undefined;
beforeAll(async () => {
  primary = await startPostgres();
});
afterAll(async () => {
  await standby?.stop();
  await primary.stop();
});

function sourceAt(uri: string): ChangeSource {
  const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
  return createPostgresSource({ uri, sslmode: 'disable', slotName: 'ours' }, tools);
}

async function rowsOf(uri: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client(uri);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const reach = (saved: JsonValue, durable: Position): StoredReach => ({
  saved,
  asked: false,
  reached: async () => ({ durable, newest: durable }),
});

test('a promoted standby', { timeout: 120_000 }, async (context) => {
  const database = await primary.createDatabase('app');
  const [version] = await database.query<{ n: number }>(`select current_setting('server_version_num')::int as n`);
  if ((version?.n ?? 0) < SYNCED_SLOTS_SINCE) context.skip('slots are copied to standbys from Postgres 17 on');
  await database.query('create table t (id int primary key); create publication powersync for all tables');
  standby = await startStandby(primary, 'app');
  const uri = standby.uri('app');
  const source = sourceAt(database.uri);
  const { saved } = await source.open(null);
  await database.query('insert into t values (1)');
  let durable: Position = '';

  // The copy of the slot follows what the stream needs, as soon as the standby has come so far.
  const slots = `select synced and not temporary as ready from pg_replication_slots where slot_name = 'ours'`;
  await expect
    .poll(
      async () => {
        await database.query('select pg_log_standby_snapshot()');
        durable = lastPosition(await streamToHead(source));
        source.acknowledge(durable);
        return rowsOf(uri, slots);
      },
      { timeout: 60_000, interval: 500 },
    )
    .toEqual([{ ready: true }]);
  await source.close();
  await primary.stop('kill');
  await rowsOf(uri, 'select pg_promote()');

  const promoted = sourceAt(uri);
  const decision = await promoted.inspect(reach(saved, durable));
  expect(decision).toEqual({ kind: 'partial', reasons: [expect.stringContaining('timeline 1 became 2')] });
  const { saved: next } = await promoted.open(saved);
  expect(next).toMatchObject({ slot: 'ours', timeline: '2' });
  await rowsOf(uri, 'insert into t values (2)');
  const inserted = (await streamToHead(promoted)).flatMap((event) => (event.kind === 'insert' ? event.row : []));
  expect(inserted).toContain('2');
  // The next start is an ordinary one.
  expect(await promoted.inspect(reach(next, durable))).toMatchObject({ kind: 'continue' });

  await promoted.teardown(next);
  const without = await promoted.inspect(reach(saved, durable));
  expect(without).toEqual({ kind: 'reconcile', reasons: [expect.stringContaining('does not exist')] });
  await promoted.close();

  await primary.restart();
  const old = sourceAt(database.uri);
  await expect(old.inspect(reach(next, durable))).rejects.toMatchObject({ code: 'SLU_S1150' });
  await old.close();
});

function lastPosition(events: Awaited<ReturnType<typeof streamToHead>>): Position {
  const last = events.at(-1);
  if (last?.kind !== 'commit' && last?.kind !== 'heartbeat') throw new Error('the stream ended inside a transaction');
  return last.position;
}
