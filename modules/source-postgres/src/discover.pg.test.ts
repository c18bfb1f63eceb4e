import type { DiscoveredTable } from '@sluice/replication';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { changesOf, sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';
import { startProxy } from '../../../test/kit/recording-proxy.ts';
import type { PostgresSourceConfig } from './config.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function newDatabase(sql: string, publication = 'for all tables'): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  await database.query(`${sql}; create publication powersync ${publication}`);
  return database;
}

async function find(
  database: TestDatabase,
  names: string,
  config: PostgresSourceConfig = {},
): Promise<readonly DiscoveredTable[]> {
  const source = sourceOn(database, config);
  const selectors = names.split(' ').map((each) => {
    const [schema, name] = each.includes('.') ? (each.split('.') as [string, string]) : ['public', each];
    return { connectionTag: 'default', schema, name: name.replace(/%$/, ''), wildcard: name.endsWith('%') };
  });
  try {
    return await source.discover(selectors);
  } finally {
    await source.close();
  }
}

const named = (tables: readonly DiscoveredTable[]) =>
  tables.map(({ relation }) => `${relation.schema}.${relation.name}`);
const problems = (tables: readonly DiscoveredTable[]) => tables.map(({ problem }) => problem?.code ?? null);
const keys = (tables: readonly DiscoveredTable[]) =>
  tables.map(({ relation, keyColumns }) => keyColumns.map((index) => relation.columns[index]?.name));

describe('matching', () => {
  it('takes names literally and wildcards as prefixes, across schemas', async () => {
    const database =
      await newDatabase(`create schema other; create table a_b (id int primary key); create table axb (id int primary key);
      create table "A_b" (id int primary key); create table a_ (id int primary key); create table other.a_b (id int primary key)`);
    expect(named(await find(database, 'a_b'))).toEqual(['public.a_b']);
    expect(named(await find(database, 'a_%'))).toEqual(['public.a_', 'public.a_b']);
    expect(named(await find(database, 'a% other.%'))).toEqual(['other.a_b', 'public.a_', 'public.a_b', 'public.axb']);
    expect(named(await find(database, 'a_b a_b a%'))).toEqual(['public.a_', 'public.a_b', 'public.axb']);
    expect(await find(database, 'nothing')).toEqual([]);
  });

  it('leaves selectors of other connections alone', async () => {
    const database = await newDatabase('create table t (id int primary key)');
    expect(await find(database, 't', { tag: 'second' })).toEqual([]);
  });

  it('finds partitions, and reports what has no changes of its own only where it is named', async () => {
    const database = await newDatabase(`create table p (id int primary key) partition by range (id);
      create table p_1 partition of p for values from (0) to (10); create view p_view as select * from p;
      create materialized view p_mat as select * from p`);
    expect(named(await find(database, 'p%'))).toEqual(['public.p_1']);
    const reported = await find(database, 'p p_view p_mat p_1');
    expect(named(reported)).toEqual(['public.p', 'public.p_1', 'public.p_mat', 'public.p_view']);
    expect(problems(reported)).toEqual(['SLU_S1152', null, 'SLU_S1152', 'SLU_S1152']);
  });
});

describe('identity', () => {
  it('is the primary key, in key order, also under FULL', async () => {
    const database = await newDatabase(`create table a (v text, x int, y int, primary key (y, x));
      create table b (v text, x int, y int, primary key (y, x)); alter table b replica identity full`);
    const found = await find(database, 'a b');
    expect(keys(found)).toEqual([
      ['y', 'x'],
      ['y', 'x'],
    ]);
    expect(found.map(({ relation }) => relation.columns.map((column) => column.key))).toEqual([
      [false, true, true],
      [true, true, true],
    ]);
  });

  it('is the index, the whole row under FULL without a key, and else a problem', async () => {
    const database =
      await newDatabase(`create table idx (id int primary key, a int not null, v text); create unique index u on idx (a);
      alter table idx replica identity using index u; create table whole (a int, v json); alter table whole replica identity full;
      create table none (a int); create table nothing (id int primary key); alter table nothing replica identity nothing;
      create table later (id int primary key deferrable initially deferred)`);
    const found = await find(database, 'idx whole none nothing later');
    expect(named(found)).toEqual(['public.idx', 'public.later', 'public.none', 'public.nothing', 'public.whole']);
    expect(problems(found)).toEqual([null, 'SLU_S1148', 'SLU_S1148', 'SLU_S1148', null]);
    expect(keys(found)).toEqual([['a'], [], [], [], ['a', 'v']]);
  });
});

describe('problems', () => {
  it('are found before the first row is read, with the statement that mends them', async () => {
    const database = await newDatabase(
      `create schema hidden; create table hidden.t (id int primary key); create table unpublished (id int primary key);
       create table secret (id int primary key); create table guarded (id int primary key); alter table guarded enable row level security;
       create table fine (id int primary key); create table by_columns (id int primary key)`,
      'for table hidden.t, secret, guarded, fine, by_columns',
    );
    const role = `reader_${database.name}`;
    await database.query(
      `create role ${role} login replication password 'r'; grant select on fine, guarded, unpublished to ${role};
       grant select (id) on by_columns to ${role}`,
    );
    const all = 'hidden.t unpublished secret guarded fine by_columns';
    const config = { username: role, password: 'r' };
    const found = await find(database, all, config);
    const byName = Object.fromEntries(found.map((table) => [table.relation.name, table.problem?.code ?? null]));
    expect(byName).toEqual({
      t: 'SLU_S1125',
      secret: 'SLU_S1125',
      by_columns: 'SLU_S1125',
      guarded: 'PSYNC_S1145',
      fine: null,
      unpublished: 'SLU_S1153',
    });
    await database.query(`grant select on all tables in schema hidden to ${role}`);
    for (const { problem } of found)
      if (problem !== null) await database.query(problem.message.slice(problem.message.indexOf(': ') + 2));
    expect(problems(await find(database, all, config))).toEqual([null, null, null, null, null, null]);
  });
});

describe('unlogged tables', () => {
  it('are reported where they are named', async () => {
    const database = await newDatabase('create unlogged table fast (id int primary key)');
    expect(problems(await find(database, 'fast'))).toEqual(['SLU_S1152']);
  });
});

describe('columns', () => {
  it('are those the stream sends: not dropped, not generated, only those published', async () => {
    const database = await newDatabase(
      `create table t (gone int, id int primary key, a numeric(8, 2), g int generated always as (id * 2) stored, b varchar(7));
       alter table t drop gone; create table part (id int primary key, a text, b text)`,
      'for table t, part (id, b)',
    );
    const found = await find(database, 't part');
    expect(found.map(({ relation }) => relation.columns.map((column) => column.name))).toEqual([
      ['id', 'b'],
      ['id', 'a', 'b'],
    ]);
    const source = sourceOn(database);
    await source.open(null);
    await database.query("insert into part values (1, 'a', 'b'); insert into t (id, a) values (1, 2)");
    const relations = changesOf(await streamToHead(source)).map((each) =>
      each.kind === 'insert' ? each.relation : null,
    );
    expect(relations).toEqual(
      found.map(({ relation }) => ({
        ...relation,
        columns: relation.columns.map((column) => ({ ...column, number: undefined })),
      })),
    );
    // Which of several of the same name it is, only the catalogue knows.
    expect(found.map(({ relation }) => relation.columns.map((column) => column.number))).toEqual([
      [1, 3],
      [2, 3, 5],
    ]);
    await source.close();
  });

  it('that are published must include the key', async () => {
    const database = await newDatabase('create table part (id int primary key, a text)', 'for table part (a)');
    expect(problems(await find(database, 'part'))).toEqual(['SLU_S1148']);
  });
});

describe('estimates', () => {
  it('are near the truth, analysed or not, and cost no scan', async () => {
    const database = await newDatabase(
      'create table t (id int primary key, v text); create table e (id int primary key)',
    );
    await database.query("insert into t select i, repeat('x', 80) from generate_series(1, 20000) i");
    const [empty, guessed] = await find(database, 'e t');
    expect(empty).toMatchObject({ rowsEstimate: 0, bytesEstimate: 0 });
    expect(guessed?.rowsEstimate).toBeGreaterThan(10_000);
    await database.query('analyze t');
    const [, analysed] = await find(database, 'e t');
    expect(analysed?.rowsEstimate).toBe(20_000);
    expect(analysed?.bytesEstimate).toBeGreaterThan(1_600_000);
  });

  it('of hundreds of tables come in as many queries as those of one', async () => {
    const database = await newDatabase(
      `create table mono_1 (id int primary key, v text);
      do $$ begin for i in 1..400 loop execute format('create table many_%s (id int primary key, v text)', i); end loop; end $$`,
    );
    const askedFor = async (names: string, count: number) => {
      const proxy = await startProxy({ host: '127.0.0.1', port: postgres.port });
      expect(await find(database, names, { port: proxy.port })).toHaveLength(count);
      await proxy.close();
      return proxy.asked.length;
    };
    const forOne = await askedFor('mono_%', 1);
    expect(forOne).toBeGreaterThan(100);
    expect(await askedFor('many_%', 400)).toBe(forOne);
  });
});
