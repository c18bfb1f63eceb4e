/**
 * Commits that the stream brings before reads can see them, and commits that reads see before the stream can bring them.
 * The tests share settings of the server, so they run one after the other.
 */
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RaceWorld } from './race-world.ts';

const ALL = 'CREATE PUBLICATION powersync FOR ALL TABLES';
const make = (name: string, rows: number): readonly string[] => [
  `CREATE TABLE ${name} (id text PRIMARY KEY, v int4, big text)`,
  `ALTER TABLE ${name} ALTER big SET STORAGE EXTERNAL`,
  `INSERT INTO ${name} SELECT 'r' || lpad(n::text, 3, '0'), n, repeat('b', 3000) || n FROM generate_series(1, ${rows}) AS n`,
];

let postgres: TestPostgres;
beforeAll(async () => {
  // Asynchronous commits stay out of the WAL's file, and so out of the stream, for as long as a test likes.
  postgres = await startPostgres({ settings: { wal_writer_delay: '3s' } });
});
afterAll(() => postgres.stop());

/** Commits wait for a standby that does not exist, in sessions that ask for it, until `release`. */
async function holdCommits(world: RaceWorld): Promise<{ session: Client; release: () => Promise<void> }> {
  await world.run(`ALTER SYSTEM SET synchronous_standby_names = 'missing'`, 'SELECT pg_reload_conf()');
  await world.until('commits wait', async () => {
    const [row] = await world.db.query<{ names: string }>(
      `SELECT current_setting('synchronous_standby_names') AS names`,
    );
    return row?.names === 'missing';
  });
  const session = await world.db.connect();
  await session.query('SET synchronous_commit = on');
  const release = async () => {
    await world.run('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
  };
  return { session, release };
}

async function commitWaits(world: RaceWorld): Promise<void> {
  await world.until('the commit waits for its standby', async () => {
    const waiting = await world.db.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
    return waiting.length > 0;
  });
}

test('a re-read waits until it can see the change that it completes', { timeout: 120_000 }, () =>
  RaceWorld.play(postgres, [...make('t1', 30), ALL], async (world) => {
    world.gates.chunks.close();
    world.start();
    await world.chunkWaits();
    const { session, release } = await holdCommits(world);
    // Another row comes to the key: what reads still see under it is the first one's value.
    const moved = session.query(
      `BEGIN; DELETE FROM t1 WHERE id = 'r001'; UPDATE t1 SET id = 'r001' WHERE id = 'r002'; COMMIT`,
    );
    await commitWaits(world);
    await world.streamed();
    world.gates.chunks.open();
    await world.until('the copy is over', async () => (await world.table('t1'))?.snapshot === 'done');
    expect(await world.shown()).toBeNull();
    await release();
    await moved;
    await session.end();
    await world.converges();
  }),
);

test('a commit that waits when replication begins is in the copy or in the stream', { timeout: 120_000 }, () =>
  RaceWorld.play(postgres, [...make('t1', 10), ALL], async (world) => {
    const { session, release } = await holdCommits(world);
    const inserted = session.query(`INSERT INTO t1 VALUES ('waiting', 1, 'x')`);
    await commitWaits(world);
    world.start();
    await world.until('replication began', async () => {
      const slots = await world.db.query(
        `SELECT 1 FROM pg_replication_slots WHERE slot_name = 's_' || current_database()`,
      );
      return slots.length > 0;
    });
    expect(await world.shown()).toBeNull();
    await release();
    await inserted;
    await session.end();
    await world.converges();
  }),
);

test('a table is published while somebody is writing to it', { timeout: 120_000 }, () =>
  RaceWorld.play(
    postgres,
    [...make('t1', 10), ...make('t2', 1), 'CREATE PUBLICATION powersync FOR TABLE t2'],
    async (world) => {
      world.start();
      await world.converges();
      const session = await world.db.connect();
      await session.query(
        `BEGIN; INSERT INTO t1 VALUES ('written before', 1, 'x'); UPDATE t1 SET v = 50 WHERE id = 'r001'`,
      );
      await world.run('ALTER PUBLICATION powersync ADD TABLE t1');
      await world.until('it is found', async () => (await world.table('t1')) !== undefined);
      await world.run(`UPDATE t2 SET v = 77`);
      await world.until('checkpoints go on', async () => (await world.shown())?.['t2']?.['r001']?.['v'] === 77);
      expect(await world.table('t1')).toMatchObject({ plan: null });
      await session.query('COMMIT');
      await session.end();
      await world.converges();
    },
  ),
);

test('a commit that reads see before it is in the WAL is in no checkpoint by half', { timeout: 120_000 }, () =>
  RaceWorld.play(postgres, [...make('t1', 1), ...make('t2', 40), ALL], async (world) => {
    world.gates.chunks.close();
    world.start();
    await world.until('both tables are read', () => world.gates.chunks.waiting === 2);
    await world.run('SET synchronous_commit = off; BEGIN; UPDATE t1 SET v = 9; UPDATE t2 SET v = 9; COMMIT');
    world.gates.chunks.open();
    await world.until('the first checkpoint', async () => (await world.shown()) !== null);
    const shown = await world.shown();
    const values = [...Object.values(shown?.['t1'] ?? {}), ...Object.values(shown?.['t2'] ?? {})].map(({ v }) => v);
    expect(values).toHaveLength(41);
    expect(new Set(values)).toEqual(new Set([9]));
    await world.converges();
  }),
);
