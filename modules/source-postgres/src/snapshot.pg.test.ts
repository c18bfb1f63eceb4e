import type { RawRow } from '@sluice/core';
import type { ChangeSource, DiscoveredTable, TaskChunk } from '@sluice/replication';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';
import type { PostgresSourceConfig } from './config.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

interface Fixture {
  readonly database: TestDatabase;
  readonly source: ChangeSource;
  readonly table: DiscoveredTable;
}

async function fixture(
  sql: string,
  publication = 'for all tables',
  config: PostgresSourceConfig = {},
): Promise<Fixture> {
  const database = await postgres.createDatabase();
  await database.query(`${sql}; create publication powersync ${publication}`);
  const source = sourceOn(database, config);
  const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 't', wildcard: false }]);
  if (table === undefined) throw new Error('the table was not found');
  return { database, source, table };
}

type Range = Parameters<ChangeSource['readTask']>[0]['range'];

function reader({ source, table }: Fixture, range: Range, options: { cursor?: Range; chunkBytes?: number } = {}) {
  const { cursor = null, chunkBytes = 100_000 } = options;
  return source.readTask({
    relation: table.relation,
    range,
    cursor,
    chunkBytes,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
}

async function readChunks(at: Fixture, range: Range, options: { cursor?: Range; chunkBytes?: number } = {}) {
  const chunks: (Omit<TaskChunk, 'rows'> & { readonly rows: readonly RawRow[] })[] = [];
  for await (const chunk of reader(at, range, options)) chunks.push({ ...chunk, rows: [...chunk.rows] });
  return chunks;
}

const idsOf = (rows: readonly RawRow[]) => rows.map((row) => Number(row[0])).sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

const MANY_BLOCKS =
  "create table t (id int primary key, v text); insert into t select i, repeat('v', 200) from generate_series(1, 20000) i";

describe('reading a task', () => {
  it('of an empty table yields one empty chunk', async () => {
    const at = await fixture('create table t (id int primary key)');
    const {
      tasks: [task, ...others],
    } = await at.source.planTable(at.table.relation);
    expect(others).toEqual([]);
    expect(task).toMatchObject({ rowsEstimate: 0, bytesEstimate: 0 });
    expect(await readChunks(at, task?.range ?? null)).toEqual([
      { rows: [], bytes: 0, cursor: expect.any(Number), last: true },
    ]);
    await at.source.close();
  });

  it('yields every row once, in chunks of about the size asked for', async () => {
    const at = await fixture(MANY_BLOCKS);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const chunks = await readChunks(at, task?.range ?? null, { chunkBytes: 300_000 });
    expect(idsOf(chunks.flatMap((chunk) => chunk.rows))).toEqual(upTo(20_000));
    expect(chunks.map((chunk) => chunk.last)).toEqual(chunks.map((_, i) => i === chunks.length - 1));
    // The first statement goes by a guess.
    for (const { bytes } of chunks.slice(1, -1)) expect(bytes).toBeGreaterThan(150_000);
    for (const { bytes } of chunks.slice(1, -1)) expect(bytes).toBeLessThan(600_000);
    await at.source.close();
  });

  it('goes on behind the cursor of any chunk', async () => {
    const at = await fixture(MANY_BLOCKS);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const range = task?.range ?? null;
    const chunks = await readChunks(at, range, { chunkBytes: 200_000 });
    for (const stop of [0, 1, chunks.length - 2]) {
      const before = chunks.slice(0, stop + 1).flatMap((chunk) => chunk.rows);
      const cursor = JSON.parse(JSON.stringify(chunks[stop]?.cursor));
      const after = (await readChunks(at, range, { cursor })).flatMap((chunk) => chunk.rows);
      expect(idsOf([...before, ...after])).toEqual(upTo(20_000));
    }
    await at.source.close();
  });

  it('splits a statement whose values are far larger than a chunk', async () => {
    const at = await fixture(`create table t (id int primary key, v text); alter table t alter v set storage external;
      insert into t select i, repeat('v', 100000) from generate_series(1, 100) i`);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const chunks = await readChunks(at, task?.range ?? null, { chunkBytes: 500_000 });
    expect(Math.max(...chunks.map((chunk) => chunk.bytes))).toBeLessThan(2_000_000);
    expect(idsOf(chunks.flatMap((chunk) => chunk.rows))).toEqual(upTo(100));
    await at.source.close();
  });

  it('reads rows that are far larger than a chunk', async () => {
    const at = await fixture(`create table t (id int primary key, v text); alter table t alter v set storage external;
      insert into t select i, repeat('v', 3000000) from generate_series(1, 6) i`);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const chunks = await readChunks(at, task?.range ?? null, { chunkBytes: 100_000 });
    expect(idsOf(chunks.flatMap((chunk) => chunk.rows))).toEqual(upTo(6));
    await at.source.close();
  });

  it('ends with the reason when aborted, and gives its connection back', async () => {
    const at = await fixture(MANY_BLOCKS);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const stop = new AbortController();
    const request = { relation: at.table.relation, range: task?.range ?? null, cursor: null, chunkBytes: 10_000 };
    const reading = (async () => {
      for await (const chunk of at.source.readTask({ ...request, signal: stop.signal }))
        if (chunk.rows.count > 0) stop.abort(new Error('enough'));
    })();
    await expect(reading).rejects.toThrow('enough');
    for (let i = 0; i < 10; i++)
      for await (const chunk of reader(at, task?.range ?? null)) if (chunk.rows.count > 0) break;
    expect(await at.source.head()).toMatch(/^[0-9A-F]{16}$/);
    await at.source.close();
  });

  it('holds no lock between chunks: the table can be altered while a consumer flushes', async () => {
    const at = await fixture(MANY_BLOCKS);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    for await (const chunk of reader(at, task?.range ?? null, { chunkBytes: 200_000 })) {
      if (chunk.last) break;
      await at.database.query("set lock_timeout = '1s'; alter table t set (fillfactor = 90); reset lock_timeout");
    }
    await at.source.close();
  });

  it('leaves out rows and columns that the publication leaves out', async () => {
    const at = await fixture(
      "create table t (id int primary key, v text, w int); insert into t select i, 'v', i % 2 from generate_series(1, 10) i; alter table t replica identity full",
      'for table t (id, w) where (w = 1)',
    );
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const rows = (await readChunks(at, task?.range ?? null)).flatMap((chunk) => chunk.rows);
    expect(rows).toEqual([1, 3, 5, 7, 9].map((id) => [String(id), '1']));
    await at.source.close();
  });
});

describe('a copy that is disturbed', () => {
  const LARGE = `create table t (id int primary key, v text); alter table t alter v set storage external;
    insert into t select i, repeat('v', 100000) from generate_series(1, 400) i`;

  async function inTheMiddle(config: PostgresSourceConfig, disturb: (pid: number, at: Fixture) => Promise<void>) {
    const at = await fixture(LARGE, 'for all tables', config);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const chunks = reader(at, task?.range ?? null, { chunkBytes: 1_000_000 })[Symbol.asyncIterator]();
    const first = await chunks.next();
    expect(first.value).toMatchObject({ last: false, cursor: 0 });
    const [{ pid } = { pid: 0 }] = await at.database.query<{ pid: number }>(
      "select pid from pg_stat_activity where query like 'copy (select%' and datname = current_database() and pid <> pg_backend_pid()",
    );
    await disturb(pid, at);
    const outcome = await (async () => {
      for (let rows = 0; ; ) {
        const { value, done } = await chunks.next();
        if (done === true) return rows;
        rows += value.rows.count;
      }
    })().catch((error: unknown) => error);
    return { at, outcome };
  }

  it('by the end of its connection is a retryable error', async () => {
    const { at, outcome } = await inTheMiddle({}, async (pid, { database }) => {
      await database.query('select pg_terminate_backend($1)', [pid]);
    });
    expect(outcome).toMatchObject({ code: 'PSYNC_S1121', action: 'retry' });
    expect(await at.source.head()).toMatch(/^[0-9A-F]{16}$/);
    await at.source.close();
  });

  it('by a server that falls silent is given up', async () => {
    let stopped = 0;
    const { at, outcome } = await inTheMiddle({ readDeadlineMs: 1_000 }, async (pid) => {
      process.kill(pid, 'SIGSTOP');
      stopped = pid;
    });
    process.kill(stopped, 'SIGCONT');
    expect(outcome).toMatchObject({ code: 'SLU_S1151', action: 'retry' });
    await at.source.close();
  });

  it('by a consumer that neither goes on nor goes away does not keep the source from closing', async () => {
    const { at } = await inTheMiddle({}, async (_, { source }) => source.close());
    await at.source.close();
  });

  it('by a consumer that goes away leaves nothing behind', async () => {
    const { at } = await inTheMiddle({}, async () => undefined);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const large = { chunkBytes: 1_000_000 };
    for (let i = 0; i < 20; i++)
      for await (const chunk of reader(at, task?.range ?? null, large)) if (!chunk.last) break;
    const running =
      "select pid from pg_stat_activity where query like 'copy (select%' and state = 'active' and pid <> pg_backend_pid()";
    await expect.poll(() => at.database.query(running)).toEqual([]);
    await at.source.close();
  });
});

describe('ranges', () => {
  it('tile a large table, and the last one takes what is added later', async () => {
    const at = await fixture(
      "create table t (id int primary key, v text); insert into t select i, repeat('v', 2000) from generate_series(1, 40000) i",
    );
    const { tasks } = await at.source.planTable(at.table.relation);
    expect(tasks.length).toBeGreaterThan(1);
    const total = tasks.reduce((sum, task) => sum + task.bytesEstimate, 0);
    expect(Math.abs(total - at.table.bytesEstimate)).toBeLessThan(10);
    await at.database.query("insert into t select i, 'late' from generate_series(40001, 45000) i");
    const perTask = await Promise.all(tasks.map((task) => readChunks(at, task.range, { chunkBytes: 4_000_000 })));
    expect(idsOf(perTask.flat().flatMap((chunk) => chunk.rows))).toEqual(upTo(45_000));
    await at.source.close();
  });

  it('together with the stream lose no row that moves while they are read', async () => {
    const at = await fixture(
      "create table t (id int primary key, v int, pad text); insert into t select i, 0, repeat('p', 300) from generate_series(1, 20000) i",
    );
    await at.source.open(null);
    await at.source.settle(AbortSignal.timeout(PATIENCE_MS));
    const { tasks } = await at.source.planTable(at.table.relation);
    let reading = true;
    const writing = (async () => {
      const writer = await at.database.connect();
      for (let i = 0; reading; i++) {
        await writer.query('update t set v = v + 1 where id % 97 = $1', [i % 97]);
        if (i % 3 === 0) await writer.query('vacuum t');
      }
      await writer.end();
    })();
    const rows = new Map<string, string>();
    for (const task of tasks) {
      for await (const chunk of reader(at, task.range, { chunkBytes: 50_000 })) {
        for (const row of chunk.rows) rows.set(String(row[0]), String(row[1]));
      }
    }
    reading = false;
    await writing;
    for (const event of await streamToHead(at.source)) {
      if (event.kind === 'update') rows.set(String(event.row[0]), String(event.row[1]));
    }
    const truth = await at.database.query<{ id: number; v: number }>('select id, v from t');
    expect(rows).toEqual(new Map(truth.map(({ id, v }) => [String(id), String(v)])));
    await at.source.close();
  });

  it.each(['vacuum full t', 'cluster t using t_pkey', 'truncate t', 'alter table t alter id type int8'])(
    'are given up after %s',
    async (rewrite) => {
      const at = await fixture(MANY_BLOCKS);
      const {
        tasks: [task],
      } = await at.source.planTable(at.table.relation);
      const chunks = reader(at, task?.range ?? null, { chunkBytes: 200_000 })[Symbol.asyncIterator]();
      expect((await chunks.next()).value.rows.count).toBeGreaterThan(0);
      await at.database.query(rewrite);
      await expect(chunks.next()).rejects.toMatchObject({ code: 'SLU_T1205', action: 'retry' });
      const {
        tasks: [again],
      } = await at.source.planTable(at.table.relation);
      await readChunks(at, again?.range ?? null);
      await at.source.close();
    },
  );

  it.each([
    ['SLU_T1205', 'drop table t'],
    ['SLU_T1205', 'alter table t rename to s'],
    [
      'SLU_T1205',
      "alter table t rename to s; create table t (id int primary key, v text); insert into t values (0, 'other')",
    ],
    ['SLU_R1103', 'alter table t rename v to w'],
  ])('give %s after %s', async (code, change) => {
    const at = await fixture(MANY_BLOCKS);
    const {
      tasks: [task],
    } = await at.source.planTable(at.table.relation);
    const chunks = reader(at, task?.range ?? null, { chunkBytes: 200_000 })[Symbol.asyncIterator]();
    await chunks.next();
    await at.database.query(change);
    await expect(chunks.next()).rejects.toMatchObject({ code });
    await chunks.return?.();
    await at.source.close();
  });
});

it.each(['drop table t', 'alter table t rename to s'])('a table that is gone cannot be planned: %s', async (change) => {
  const at = await fixture('create table t (id int primary key)');
  await at.database.query(change);
  await expect(at.source.planTable(at.table.relation)).rejects.toMatchObject({ code: 'SLU_R1104' });
  await at.source.close();
});

describe('reading rows by key', () => {
  it('returns those that exist, complete, whatever the type of the key', async () => {
    const at =
      await fixture(`create type mood as enum ('good', 'bad'); create table t (a timestamptz, v text, b mood, c char(3), d bytea, primary key (b, a, c, d));
      insert into t values ('2024-01-01 00:00:00.000001+00', repeat('v', 5000), 'good', 'x', '\\x00ff'), ('2024-01-02', null, 'bad', 'yy', '\\x')`);
    const keys: RawRow[] = [
      ['2024-01-01 00:00:00.000001+00', undefined, 'good', 'x  ', '\\x00ff'],
      ['2024-01-02 00:00:00+00', undefined, 'bad', 'yy ', '\\x'],
      ['2024-01-03 00:00:00+00', undefined, 'bad', 'yy ', '\\x'],
    ];
    expect(await at.source.readRows(at.table.relation, at.table.keyColumns, keys)).toEqual([
      ['2024-01-01 00:00:00.000001+00', 'v'.repeat(5_000), 'good', 'x  ', '\\x00ff'],
      ['2024-01-02 00:00:00+00', null, 'bad', 'yy ', '\\x'],
    ]);
    await at.source.close();
  });

  it('compares whole rows as text where there is no key, NULL with NULL', async () => {
    const at = await fixture(
      "create table t (a int, j json, p point); alter table t replica identity full; insert into t values (1, '{\"a\": 1}', null), (null, null, '(1,2)')",
    );
    const rows: RawRow[] = [
      ['1', '{"a": 1}', null],
      [null, null, '(1,2)'],
      ['1', '{"a":1}', null],
    ];
    expect(await at.source.readRows(at.table.relation, at.table.keyColumns, rows)).toEqual(rows.slice(0, 2));
    await at.source.close();
  });

  it('leaves out rows that the publication leaves out', async () => {
    const at = await fixture(
      'create table t (id int primary key, w int); insert into t values (1, 1), (2, 0); alter table t replica identity full',
      'for table t where (w = 1)',
    );
    const keys: RawRow[] = [
      ['1', undefined],
      ['2', undefined],
    ];
    expect(await at.source.readRows(at.table.relation, at.table.keyColumns, keys)).toEqual([['1', '1']]);
    await at.source.close();
  });

  it('reads thousands at once', async () => {
    const at = await fixture(MANY_BLOCKS);
    const keys = upTo(3_000).map((id): RawRow => [String(id * 10), undefined]);
    expect(await at.source.readRows(at.table.relation, at.table.keyColumns, keys)).toHaveLength(2_000);
    expect(await at.source.readRows(at.table.relation, at.table.keyColumns, [])).toEqual([]);
    await at.source.close();
  });
});
