/** Races of the copy with what people do to tables: dropped, renamed, made again, altered, published or not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RaceWorld } from './race-world.ts';

const ALL = 'CREATE PUBLICATION powersync FOR ALL TABLES';
const make = (name: string, rows = 60): readonly string[] => [
  `CREATE TABLE ${name} (id text PRIMARY KEY, v int4, pad text)`,
  `INSERT INTO ${name} SELECT 'r' || n, n, repeat('p', 100) FROM generate_series(1, ${rows}) AS n`,
];

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const race = (name: string, setup: readonly string[], play: (world: RaceWorld) => Promise<void>): void =>
  test.concurrent(name, { timeout: 120_000 }, () => RaceWorld.play(postgres, setup, play));

/** To clients, a column that was not sent is null. */
function withoutNulls(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}

/** Copied whole, with the stream from then on held. */
async function copiedThenHeld(world: RaceWorld): Promise<void> {
  world.start();
  await world.converges();
  world.gates.stream.close();
}

/** Changes of `t1` that the catalogue shows before the stream brings them, and the other way round. */
function raceEitherWay(name: string, setup: readonly string[], change: (world: RaceWorld) => Promise<void>): void {
  for (const first of ['catalogue', 'stream'] as const) {
    race(`${name} (${first} first)`, setup, async (world) => {
      await copiedThenHeld(world);
      const before = await world.table('t1');
      await change(world);
      const isFound = async () => ![undefined, before?.id].includes((await world.table('t1'))?.id);
      if (first === 'catalogue') {
        await world.until('t1 is found', isFound);
        await world.run('UPDATE t1 SET v = 77 WHERE id = (SELECT min(id) FROM t1)');
      }
      await world.converges();
    });
  }
}

describe('gone', () => {
  race(
    'a table dropped in mid-copy is forgotten, and its late chunks are lost',
    [...make('t1'), ...make('t2'), ALL],
    async (world) => {
      world.gates.chunks.close();
      world.start();
      await world.chunkWaits();
      await world.run('DROP TABLE t1');
      await world.until('t1 is forgotten', async () => (await world.table('t1')) === undefined);
      await world.converges();
    },
  );

  race('a table dropped when nothing else happens', [...make('t1'), ...make('t2'), ALL], async (world) => {
    world.start();
    await world.converges();
    await world.run('DROP TABLE t1');
    await world.converges();
    expect(await world.shown()).toHaveProperty('t2');
  });

  race(
    'a dropped table is shown until the stream has passed its end',
    [...make('t1'), ...make('t2'), ALL],
    async (world) => {
      await copiedThenHeld(world);
      await world.run(`UPDATE t2 SET v = 0 WHERE id = 'r1'`);
      await world.until('the update is under way', () => world.gates.stream.waiting > 0);
      await world.run('DROP TABLE t1', `UPDATE t2 SET v = 1 WHERE id = 'r1'`);
      const dropped = await world.head();
      await world.until('t1 is forgotten', async () => (await world.table('t1')) === undefined);
      await world.until('a checkpoint without t1', async () => {
        // One batch at a time: another waits when this one has been taken in.
        world.gates.stream.letOne();
        await world.until('the next batch', () => world.gates.stream.waiting > 0);
        const shows = Object.keys((await world.shown())?.['t1'] ?? {}).length === 60;
        const { position } = (await world.reader.checkpoint()) ?? { position: '' };
        if (!shows) expect(position >= dropped, `gone at ${position}, dropped before ${dropped}`).toBe(true);
        return !shows;
      });
      await world.converges();
    },
  );

  race('renamed out of the rules, without further changes', [...make('t1'), ALL], async (world) => {
    world.start();
    await world.converges();
    await world.run('ALTER TABLE t1 RENAME TO away');
    await world.converges();
  });

  race('renamed into the rules, without further changes', [...make('away'), ...make('t2'), ALL], async (world) => {
    world.start();
    await world.converges();
    await world.run('ALTER TABLE away RENAME TO t1');
    await world.converges();
    expect(Object.keys((await world.shown())?.['t1'] ?? {})).toHaveLength(60);
  });

  race(
    'renamed within the rules in mid-copy, with changes under the old name to come',
    [...make('t1'), ALL],
    async (world) => {
      world.gates.chunks.close();
      world.gates.stream.close();
      world.start();
      await world.chunkWaits();
      await world.run(`UPDATE t1 SET v = -1 WHERE id = 'r1'`, `DELETE FROM t1 WHERE id = 'r2'`);
      await world.run('ALTER TABLE t1 RENAME TO t9', `UPDATE t9 SET v = -2 WHERE id = 'r3'`);
      await world.until('t9 is known', async () => (await world.table('t9')) !== undefined);
      await world.converges();
    },
  );

  race(
    'unpublished in mid-copy',
    [...make('t1'), ...make('t2'), 'CREATE PUBLICATION powersync FOR TABLE t1, t2'],
    async (world) => {
      world.gates.chunks.close();
      world.start();
      await world.chunkWaits();
      await world.run('ALTER PUBLICATION powersync DROP TABLE t1', 'DELETE FROM t1');
      await world.until('t1 is forgotten', async () => (await world.table('t1')) === undefined);
      await world.converges();
    },
  );
});

describe('another table', () => {
  raceEitherWay(
    'of the same name, with rows of the first still to come in the stream',
    [...make('t1'), ALL],
    async (world) => {
      await world.run(`INSERT INTO t1 VALUES ('old', 1)`, `UPDATE t1 SET v = 5 WHERE id = 'r1'`);
      await world.run('DROP TABLE t1', ...make('t1', 3));
    },
  );

  raceEitherWay(
    'of the same name, not copied yet when rows of the first come',
    ['CREATE TABLE t2 (id text PRIMARY KEY)', ALL],
    async (world) => {
      await world.run(...make('t1', 3), `INSERT INTO t1 VALUES ('old', 1)`, 'DROP TABLE t1', ...make('t1', 2));
    },
  );

  race('takes the name while a chunk of the first is under way', [...make('t1'), ALL], async (world) => {
    world.gates.chunks.close();
    world.start();
    await world.chunkWaits();
    const first = await world.table('t1');
    await world.run('ALTER TABLE t1 RENAME TO old', 'CREATE TABLE t1 (id text PRIMARY KEY, v int4)');
    await world.run(`INSERT INTO t1 VALUES ('new', 1)`);
    await world.until('the new one is known', async () => {
      const table = await world.table('t1');
      return table !== undefined && table.id !== first?.id;
    });
    await world.converges();
  });
});

describe('altered', () => {
  raceEitherWay(
    'a column before the key is dropped, with rows of the old structure still to come',
    [
      'CREATE TABLE t1 (junk text, id text PRIMARY KEY, v int4)',
      `INSERT INTO t1 SELECT 'j', 'r' || n, n FROM generate_series(1, 30) AS n`,
      ALL,
    ],
    async (world) => {
      await world.run(`INSERT INTO t1 VALUES ('j', 'late', 1)`, `DELETE FROM t1 WHERE id = 'r3'`);
      await world.run('ALTER TABLE t1 DROP COLUMN junk', `UPDATE t1 SET v = 9 WHERE id = 'r1'`);
    },
  );

  raceEitherWay('altered to and fro while the stream is behind', [...make('t1'), ALL], async (world) => {
    await world.run('ALTER TABLE t1 ADD COLUMN w int4', `UPDATE t1 SET w = 7, v = 7 WHERE id = 'r1'`);
    await world.run('ALTER TABLE t1 DROP COLUMN w', `UPDATE t1 SET v = 8 WHERE id = 'r2'`);
    await world.run('ALTER TABLE t1 ALTER v TYPE int8', `UPDATE t1 SET v = 3000000000 WHERE id = 'r3'`);
  });

  for (const then of ['goes', 'stays'] as const) {
    const role = { username: `reader_${then}`, password: 'secret' };
    race(
      `a column comes while its table may not be read, and ${then}`,
      [
        ...make('t1'),
        ALL,
        `CREATE ROLE ${role.username} LOGIN REPLICATION PASSWORD '${role.password}'`,
        `GRANT SELECT ON t1 TO ${role.username}`,
      ],
      async (world) => {
        world.role = role;
        world.start();
        await world.converges();
        await world.run(`REVOKE SELECT ON t1 FROM ${role.username}`, 'ALTER TABLE t1 ADD COLUMN w int4');
        await world.run(`UPDATE t1 SET w = 7, v = 77 WHERE id = 'r1'`);
        await world.streamed();
        expect((await world.shown())?.['t1']?.['r1']).toEqual({ id: 'r1', v: 77, pad: 'p'.repeat(100) });
        if (then === 'goes') await world.run('ALTER TABLE t1 DROP COLUMN w');
        await world.run(`GRANT SELECT ON t1 TO ${role.username}`);
        await world.converges(withoutNulls);
      },
    );
  }

  for (const [when, hold] of Object.entries({ 'in mid-copy': true, 'after the copy': false })) {
    race(`columns are added ${when}, and no row changes`, [...make('t1'), ...make('t2', 3), ALL], async (world) => {
      if (hold) world.gates.chunks.close();
      world.start();
      if (hold) {
        await world.chunkWaits();
        world.gates.chunks.letOne();
        await world.chunkWaits();
      } else await world.converges();
      await world.run(`ALTER TABLE t1 ADD COLUMN kind text DEFAULT 'plain', ADD COLUMN note text`);
      await world.converges(withoutNulls);
    });
  }

  race('a column is dropped and made again, and no row changes', [...make('t1'), ALL], async (world) => {
    world.start();
    await world.converges();
    await world.run(`ALTER TABLE t1 DROP COLUMN pad, ADD COLUMN pad text DEFAULT 'other'`);
    await world.converges();
  });

  race('a column came and went while the stream was behind', [...make('t1'), ALL], async (world) => {
    await copiedThenHeld(world);
    const before = await world.table('t1');
    await world.run('ALTER TABLE t1 ADD COLUMN w int4', `UPDATE t1 SET w = 7 WHERE id = 'r1'`);
    await world.run('ALTER TABLE t1 DROP COLUMN w', `INSERT INTO t1 VALUES ('new', 1, 'p')`);
    await world.converges();
    expect((await world.table('t1'))?.id).toBe(before?.id);
  });

  race('a column is added to a table that has lost its identity', [...make('t1'), ALL], async (world) => {
    world.start();
    await world.converges();
    const before = await world.table('t1');
    await world.run('ALTER TABLE t1 REPLICA IDENTITY NOTHING', `ALTER TABLE t1 ADD COLUMN kind text DEFAULT 'plain'`);
    await world.run(`INSERT INTO t1 VALUES ('new', 1, 'p', 'other')`);
    await world.converges();
    await world.run('ALTER TABLE t1 REPLICA IDENTITY DEFAULT', `DELETE FROM t1 WHERE id = 'r3'`);
    await world.converges();
    expect((await world.table('t1'))?.id).toBe(before?.id);
  });

  race('a column is added that is null everywhere: clients are sent nothing', [...make('t1'), ALL], async (world) => {
    world.start();
    await world.converges();
    const before = (await world.reader.checkpoint())?.opId;
    await world.run('ALTER TABLE t1 ADD COLUMN note text');
    await world.until('it was read again', async () => {
      const table = await world.table('t1');
      return table?.relation.columns.length === 4 && table.snapshot === 'done';
    });
    await world.run(`UPDATE t1 SET note = 'n' WHERE id = 'r1'`);
    await world.converges(withoutNulls);
    expect((await world.reader.checkpoint())?.opId).toBe((before ?? 0) + 1);
  });

  race(
    'identity default, full, index, nothing and back, under changes',
    [
      'CREATE TABLE t1 (id text PRIMARY KEY, n int4 NOT NULL, v text)',
      'CREATE UNIQUE INDEX t1_n ON t1 (n)',
      `INSERT INTO t1 SELECT 'r' || n, n, 'v' FROM generate_series(1, 40) AS n`,
      ALL,
    ],
    async (world) => {
      await copiedThenHeld(world);
      const identities = ['FULL', 'USING INDEX t1_n', 'DEFAULT', 'USING INDEX t1_n', 'FULL', 'DEFAULT'];
      for (const [step, identity] of identities.entries()) {
        await world.run(`ALTER TABLE t1 REPLICA IDENTITY ${identity}`);
        await world.run(
          `UPDATE t1 SET id = id || 'x' WHERE n = ${step + 1}`,
          `UPDATE t1 SET n = n + 100 WHERE n = ${step + 10}`,
          `UPDATE t1 SET v = 'w' WHERE n = ${step + 20}`,
          `DELETE FROM t1 WHERE n = ${step + 30}`,
        );
      }
      await world.run('ALTER TABLE t1 REPLICA IDENTITY NOTHING', `INSERT INTO t1 VALUES ('last', 999, 'v')`);
      await world.run('ALTER TABLE t1 REPLICA IDENTITY DEFAULT', `DELETE FROM t1 WHERE id = 'r40'`);
      await world.converges();
    },
  );

  race('rewritten in mid-copy, by VACUUM FULL and CLUSTER', [...make('t1'), ALL], async (world) => {
    world.gates.chunks.close();
    world.start();
    for (const rewrite of ['VACUUM FULL t1', 'CLUSTER t1 USING t1_pkey']) {
      await world.chunkWaits();
      await world.run(`UPDATE t1 SET v = v + 100 WHERE v < 10`, rewrite);
      world.gates.chunks.letOne();
    }
    await world.converges();
  });
});

describe('published', () => {
  race('without an identity, and published otherwise meanwhile', [...make('t1'), ALL], async (world) => {
    world.start();
    await world.converges();
    await world.run('ALTER TABLE t1 REPLICA IDENTITY NOTHING', `ALTER PUBLICATION powersync SET (publish = 'insert')`);
    await world.run(`UPDATE t1 SET v = 99 WHERE id = 'r1'`);
    await world.until('t1 is forgotten', async () => (await world.table('t1')) === undefined);
    await world.run(`ALTER PUBLICATION powersync SET (publish = 'insert, update, delete, truncate')`);
    await world.run('ALTER TABLE t1 REPLICA IDENTITY DEFAULT', `DELETE FROM t1 WHERE id = 'r3'`);
    await world.converges();
  });

  race(
    'a table added to the publication, without further changes',
    [...make('t1'), ...make('t2'), 'CREATE PUBLICATION powersync FOR TABLE t2'],
    async (world) => {
      world.start();
      await world.converges();
      await world.run('ALTER PUBLICATION powersync ADD TABLE t1');
      await world.converges();
    },
  );

  raceEitherWay(
    'taken out and put back while it changed',
    [...make('t1'), 'CREATE PUBLICATION powersync FOR TABLE t1'],
    async (world) => {
      await world.run(`UPDATE t1 SET v = 1 WHERE id = 'r1'`, 'ALTER PUBLICATION powersync DROP TABLE t1');
      await world.run(`UPDATE t1 SET v = 2 WHERE id = 'r1'`, `DELETE FROM t1 WHERE id = 'r2'`);
      await world.run('ALTER PUBLICATION powersync ADD TABLE t1', `UPDATE t1 SET v = 3 WHERE id = 'r3'`);
    },
  );

  raceEitherWay(
    'the row filter changes',
    [...make('t1'), "CREATE PUBLICATION powersync FOR TABLE t1 WHERE (id > 'r3')"],
    async (world) => {
      await world.run(`INSERT INTO t1 VALUES ('r9z', 1)`, `ALTER PUBLICATION powersync SET TABLE t1 WHERE (id < 'r5')`);
      await world.run(`INSERT INTO t1 VALUES ('a', 1)`);
    },
  );

  // A re-read under the same key meets the filter as the stream did: its columns belong to the key. That it obeys the
  // filter all the same is for the moment in which the filter changes: `leaves out rows that the publication leaves out`.
  race(
    'rows that the filter leaves out are not copied; others leave it, and move within it, without their large values',
    [
      `CREATE TABLE t1 (id text PRIMARY KEY, keep int4, big text)`,
      'ALTER TABLE t1 ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL',
      `INSERT INTO t1 SELECT 'r' || n, 1, repeat('b', 5000) FROM generate_series(1, 20) AS n`,
      `INSERT INTO t1 VALUES ('out', 0, 'never published')`,
      'ALTER TABLE t1 REPLICA IDENTITY DEFAULT, ALTER keep SET NOT NULL, DROP CONSTRAINT t1_pkey, ADD PRIMARY KEY (id, keep)',
      'CREATE PUBLICATION powersync FOR TABLE t1 WHERE (keep = 1)',
    ],
    async (world) => {
      world.gates.chunks.close();
      world.gates.stream.close();
      world.start();
      await world.chunkWaits();
      await world.run(`UPDATE t1 SET keep = 0 WHERE id = 'r1'`, `UPDATE t1 SET id = 'moved' WHERE id = 'r2'`);
      await world.converges();
    },
  );
});

describe('new', () => {
  race(
    'a new table is copied aside, while checkpoints of the others go on, and comes in one step',
    [...make('t1', 5), ALL],
    async (world) => {
      world.start();
      await world.converges();
      world.gates.chunks.close();
      await world.run(...make('t2', 200));
      await world.chunkWaits();
      world.gates.chunks.letOne();
      await world.chunkWaits();
      for (const v of [100, 101]) {
        await world.run(`UPDATE t1 SET v = ${v} WHERE id = 'r1'`, `UPDATE t2 SET v = ${v} WHERE id = 'r199'`);
        const isShown = async () => ((await world.shown())?.['t1']?.['r1'] as { v: number } | undefined)?.v === v;
        await world.until('a checkpoint beside the copy', isShown);
        expect(await world.shown()).not.toHaveProperty('t2');
      }
      expect(await world.table('t2')).toMatchObject({ visibility: 'staged', snapshot: 'pending' });
      await world.restart();
      const sizes = new Set<number>();
      world.gates.chunks.open();
      await world.until('t2 is there', async () => {
        const size = Object.keys((await world.shown())?.['t2'] ?? {}).length;
        sizes.add(size);
        return size > 0;
      });
      expect([...sizes].filter((size) => size > 0)).toEqual([200]);
      await world.converges();
    },
  );

  race('a staged table is emptied, dropped, made again', [...make('t1', 5), ALL], async (world) => {
    world.start();
    await world.converges();
    world.gates.chunks.close();
    await world.run(...make('t2', 100));
    await world.chunkWaits();
    await world.run('TRUNCATE t2', `INSERT INTO t2 VALUES ('a', 1)`);
    world.gates.chunks.letOne();
    await world.run('DROP TABLE t2', ...make('t2', 7));
    await world.converges();
  });
});
