/** Races over single rows: values left out of the stream, keys that move, deletes, sizes, types. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RaceWorld } from './race-world.ts';

const ALL = 'CREATE PUBLICATION powersync FOR ALL TABLES';
/** A value that an update leaves out of the stream while it does not change. */
const BIG = `repeat('b', 3000)`;
const makeBig = [
  'CREATE TABLE t1 (id text PRIMARY KEY, v int4, big text)',
  'ALTER TABLE t1 ALTER big SET STORAGE EXTERNAL',
  `INSERT INTO t1 SELECT 'r' || lpad(n::text, 3, '0'), n, ${BIG} || n FROM generate_series(1, 60) AS n`,
  ALL,
];

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const race = (name: string, setup: readonly string[], play: (world: RaceWorld) => Promise<void>): void =>
  test.concurrent(name, { timeout: 120_000 }, () => RaceWorld.play(postgres, setup, play));

/** All of the stream is applied before a chunk that was read at the start arrives. */
async function streamFirst(world: RaceWorld, ...statements: readonly string[]): Promise<void> {
  world.gates.chunks.close();
  world.start();
  await world.chunkWaits();
  await world.run(...statements);
  await world.streamed();
  await world.converges();
}

/** The copy is over before the stream brings what happened during it. */
async function copyFirst(world: RaceWorld, ...statements: readonly string[]): Promise<void> {
  world.gates.stream.close();
  world.gates.chunks.close();
  world.start();
  await world.chunkWaits();
  await world.run(...statements);
  world.gates.chunks.open();
  await world.until('the copy is over', async () => (await world.table('t1'))?.snapshot === 'done');
  await world.converges();
}

const interleavings = { 'stream first': streamFirst, 'copy first': copyFirst };

describe.each(Object.entries(interleavings))('%s', (_, interleave) => {
  race('updates that leave large values out, of rows not copied yet', makeBig, (world) =>
    interleave(
      world,
      'UPDATE t1 SET v = -v WHERE v % 3 = 0',
      `UPDATE t1 SET big = 'now small' WHERE v = -6`,
      `UPDATE t1 SET v = 1000 WHERE id = 'r009'`,
    ),
  );

  race('rows move to other keys, across chunks, without their large values', makeBig, (world) =>
    interleave(
      world,
      `UPDATE t1 SET id = 'a' || id WHERE v > 50`,
      `UPDATE t1 SET id = 'z' || id WHERE v < 10`,
      `UPDATE t1 SET id = 'tmp' WHERE id = 'r020'; UPDATE t1 SET id = 'r020' WHERE id = 'r040'; UPDATE t1 SET id = 'r040' WHERE id = 'tmp'`,
    ),
  );

  race('deleted, and inserted again under the same key', makeBig, (world) =>
    interleave(
      world,
      'DELETE FROM t1 WHERE v % 2 = 0',
      `INSERT INTO t1 SELECT 'r' || lpad(n::text, 3, '0'), 500 + n, 'again' FROM generate_series(2, 60, 4) AS n`,
      `UPDATE t1 SET v = 7 WHERE v > 540`,
    ),
  );

  race('emptied between chunks', makeBig, (world) =>
    interleave(world, 'TRUNCATE t1', `INSERT INTO t1 VALUES ('after', 1, 'x')`, `UPDATE t1 SET v = 2`),
  );
});

race(
  'large values left out, under a key of many types',
  [
    `CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a int4, b text)`,
    `CREATE TABLE t1 (id text NOT NULL, i int8, u uuid, at timestamptz, d date, n numeric, f float8, y bytea, m mood,
       b bool, p pair, a int4[], j text, v int4, big text, PRIMARY KEY (i, u, at, d, n, f, y, m, b, p, a, j))`,
    'ALTER TABLE t1 ALTER big SET STORAGE EXTERNAL',
    `INSERT INTO t1 SELECT 'r' || n, n, gen_random_uuid(), now() - n * interval '1 day 0.123456 s', current_date - n, n / 7.0,
       n / 3.0::float8, decode(lpad(to_hex(n), 4, '0') || '5c00', 'hex'), 'glad', n % 2 = 0, (n, 'x"y,' || n)::pair, ARRAY[n, NULL],
       E'a\\\\\\x1f' || n, n, ${BIG} FROM generate_series(1, 20) AS n`,
    ALL,
  ],
  async (world) => {
    world.gates.chunks.close();
    world.start();
    await world.chunkWaits();
    await world.run('UPDATE t1 SET v = v + 100 WHERE v <= 10');
    await world.streamed();
    // The values of most of these types are text to clients: what the database says in JSON is another matter.
    await world.converges((row) => ({ id: row['id'], v: row['v'], big: row['big'] }));
  },
);

race('a crash between the partial row and its completion', makeBig, async (world) => {
  world.gates.chunks.close();
  world.start();
  await world.chunkWaits();
  await world.run('UPDATE t1 SET v = -v');
  await world.streamed();
  await world.restart();
  await world.chunkWaits();
  await world.run(`DELETE FROM t1 WHERE v = -5`, `UPDATE t1 SET id = 'moved' WHERE v = -6`);
  await world.streamed();
  await world.restart();
  await world.converges();
});

race('a crash behind a partial row that needed no completion yet', makeBig, async (world) => {
  world.gates.stream.close();
  world.gates.chunks.close();
  world.start();
  await world.chunkWaits();
  await world.run(`UPDATE t1 SET id = 'moved' WHERE id = 'r010'`, `INSERT INTO t1 VALUES ('behind', 1, 'x')`);
  world.gates.chunks.open();
  await world.until('the copy is over', async () => (await world.reader.checkpointState()).snapshotDone);
  await world.restart();
  const id = (await world.table('t1'))?.id ?? 0;
  await world.until('the row is stored, with its gap', async () => {
    // What came before has been written when the next waits.
    if (world.gates.stream.waiting === 0) return false;
    const partial = await world.reader.partialRecords(id, 10);
    if (partial.length > 0) return partial[0]?.key === 'moved';
    world.gates.stream.letOne();
    return false;
  });
  const { durable } = await world.reader.checkpointState();
  await world.until('it is acknowledged', () => world.hasPassed(durable ?? ''));
  await world.restart();
  await world.converges();
});

race('a row outgrows the size limit, is read again, and becomes small', makeBig, async (world) => {
  const huge = `repeat('h', 16 * 1024 * 1024)`;
  world.start();
  await world.converges();
  const isShown = async (id: string) => (await world.shown())?.['t1']?.[id] !== undefined;
  await world.run(`UPDATE t1 SET big = ${huge} WHERE v <= 2`, `INSERT INTO t1 VALUES ('huge', 1, ${huge})`);
  await world.until('they are left out', async () => !(await isShown('r001')) && !(await isShown('r002')));
  await world.run(`UPDATE t1 SET v = -1 WHERE id = 'r001'`, `DELETE FROM t1 WHERE id = 'r002'`);
  await world.streamed();
  expect(await isShown('r001')).toBe(false);
  await world.run(
    `UPDATE t1 SET big = 'small' WHERE id = 'r001'`,
    `UPDATE t1 SET big = 'small', id = 'moved' WHERE id = 'huge'`,
  );
  await world.converges();
});

race(
  'a composite type grows while rows of it are copied and streamed',
  [
    'CREATE TYPE pair AS (a int4, b text)',
    'CREATE TABLE t1 (id text PRIMARY KEY, p pair, v int4)',
    `INSERT INTO t1 SELECT 'r' || n, (n, 'b')::pair, n FROM generate_series(1, 60) AS n`,
    ALL,
  ],
  async (world) => {
    world.gates.chunks.close();
    world.start();
    await world.chunkWaits();
    await world.run('ALTER TYPE pair ADD ATTRIBUTE c int4', `UPDATE t1 SET p.c = 5, v = 100 WHERE v < 10`);
    await world.streamed();
    await world.run(`INSERT INTO t1 VALUES ('new', (1, 'b', 3), 1)`);
    await world.converges((row) => ({ id: row['id'], v: row['v'] }));
  },
);
