/** Plans and reads of real tables by key: the types and collations of keys, statistics of all kinds, rows that move. */
import type { ChangeSource, DiscoveredTable } from '@sluice/replication';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { sourceOn } from '../../../test/kit/postgres-source.ts';
import { sized } from '../../../test/kit/size.ts';
import { type KeyRange, parseKeyRange } from './plan/key-range.ts';
import { tiles } from './plan/tiling.ts';

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

async function fixture(sql: string): Promise<Fixture> {
  const database = await postgres.createDatabase();
  await database.query(`${sql}; create publication powersync for all tables`);
  const source = sourceOn(database, { planStrategy: 'keys' });
  const [table] = await source.discover([{ connectionTag: 'default', schema: 'public', name: 't', wildcard: false }]);
  if (table === undefined) throw new Error('the table was not found');
  return { database, source, table };
}

type Range = Parameters<ChangeSource['readTask']>[0]['range'];

/** First column of each row. */
async function read({ source, table }: Fixture, range: Range, cursor: Range = null, onChunk = () => Promise.resolve()) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const found: string[] = [];
  const cursors: Range[] = [];
  const request = { relation: table.relation, range, cursor, chunkBytes: 1_000_000, signal };
  for await (const chunk of source.readTask(request)) {
    for (const row of chunk.rows) found.push(String(row[0]));
    cursors.push(JSON.parse(JSON.stringify(chunk.cursor)) as Range);
    await onChunk();
  }
  return { found, cursors };
}

/** Large enough for several tasks; `n` numbers the rows, whatever the key is. */
const PAD = "repeat('p', 1900)";
const ROWS = 40_000;
const upTo = (count: number) => Array.from({ length: count }, (_, i) => String(i + 1)).sort();

const KEYS: Readonly<Record<string, string>> = {
  integers: `create table t (n int, k int8 primary key, pad text); insert into t select i, i * 7 - 100000, ${PAD} from generate_series(1, ${ROWS}) i`,
  'text in the order of bytes': `create table t (n int, k text collate "C" primary key, pad text); insert into t select i, md5(i::text) || case i % 3 when 0 then 'Ä' when 1 then '''\\' else E'\\n' end, ${PAD} from generate_series(1, ${ROWS}) i`,
  'text in the order of a language': `create collation german (provider = icu, locale = 'de-DE'); create table t (n int, k text collate german primary key, pad text); insert into t select i, case i % 4 when 0 then 'Ä' when 1 then 'a' when 2 then 'z' else 'ß' end || i, ${PAD} from generate_series(1, ${ROWS}) i`,
  UUIDs: `create table t (n int, k uuid primary key, pad text); insert into t select i, md5(i::text)::uuid, ${PAD} from generate_series(1, ${ROWS}) i`,
  'points in time': `create table t (n int, k timestamptz primary key, pad text); insert into t select i, '2024-02-28 23:59:59.999999+05'::timestamptz + i * interval '1.000001 minutes', ${PAD} from generate_series(1, ${ROWS}) i`,
  'an enum and fixed text': `create type size as enum ('small', 'large', 'huge'); create table t (n int, k size, l char(9), pad text, primary key (k, l)); insert into t select i, (enum_range(null::size))[1 + i % 3], lpad(i::text, 6), ${PAD} from generate_series(1, ${ROWS}) i`,
  'a heavy tenant': `create table t (n int, tenant int, k numeric, pad text, primary key (tenant, k)); insert into t select i, case when i % 10 = 0 then i % 7 else 3 end, i / 8.0, ${PAD} from generate_series(1, ${ROWS}) i`,
};

describe('a plan by key', () => {
  const few = ['integers', 'text in the order of a language', 'a heavy tenant'];
  it.each(sized(few, Object.keys(KEYS)))(
    'of %s tiles the table, in parts of about one size',
    { timeout: 60_000 },
    async (name) => {
      const at = await fixture(`${KEYS[name]}; analyze t`);
      const plan = await at.source.planTable(at.table.relation);
      expect(plan.strategy).toBe('keys');
      expect(plan.tasks.length).toBeGreaterThan(1);
      const ranges = plan.tasks.map((task) => parseKeyRange(task.range) as KeyRange);
      expect(tiles(ranges)).toBe(true);
      const parts = await Promise.all(ranges.map((range) => read(at, { ...range })));
      expect(parts.flatMap(({ found }) => found).sort()).toEqual(upTo(ROWS));
      for (const { found } of parts) expect(found.length).toBeGreaterThan(ROWS / plan.tasks.length / 4);
      // The same statistics make the same plan.
      expect(await at.source.planTable(at.table.relation)).toEqual(plan);
      // From any cursor, exactly the rest.
      const [first] = ranges;
      const whole = parts[0];
      const middle = whole?.cursors[Math.floor((whole.cursors.length - 1) / 2)] ?? null;
      const rest = await read(at, { ...(first as KeyRange) }, middle);
      expect(whole?.found.slice(-rest.found.length)).toEqual(rest.found);
      await at.source.close();
    },
  );

  it('is one of blocks where there is no key, and where nothing is known of it', async () => {
    const at = await fixture('create table t (n int); alter table t replica identity full; insert into t values (1)');
    expect((await at.source.planTable(at.table.relation)).strategy).toBe('blocks');
    await at.source.close();
    const fresh = await fixture('create table t (n int primary key); insert into t values (1)');
    expect((await fresh.source.planTable(fresh.table.relation)).strategy).toBe('blocks');
    await fresh.source.close();
  });

  it('is another one when the table or its statistics are other ones', async () => {
    const at = await fixture(
      'create table t (n int primary key); insert into t select generate_series(1, 100); analyze t',
    );
    const { hash } = await at.source.planTable(at.table.relation);
    await at.database.query('insert into t select generate_series(101, 1000); analyze t');
    expect((await at.source.planTable(at.table.relation)).hash).not.toBe(hash);
    await at.source.close();
  });

  it('outlives a rewrite of the table, and not another table under its name', async () => {
    const at = await fixture(`${KEYS['integers']}; analyze t`);
    const [task] = (await at.source.planTable(at.table.relation)).tasks;
    let rewritten = false;
    const { found } = await read(at, task?.range ?? null, null, async () => {
      if (!rewritten) await at.database.query('vacuum full t');
      rewritten = true;
    });
    expect(new Set(found).size).toBe(found.length);
    await at.database.query('alter table t rename to old; create table t (n int, k int8 primary key, pad text)');
    await expect(read(at, task?.range ?? null)).rejects.toMatchObject({ code: 'SLU_T1205' });
    await at.source.close();
  });

  it('is split behind the cursor, where the statistics know a value', async () => {
    const at = await fixture(`${KEYS['integers']}; analyze t`);
    const [task] = (await at.source.planTable(at.table.relation)).tasks;
    if (task === undefined) throw new Error('no task');
    const whole = await read(at, task.range);
    const cursor = whole.cursors[0] ?? null;
    const parts = await at.source.splitTask({ relation: at.table.relation, ...task, cursor });
    const [kept, given] = parts ?? [];
    const keptRows = (await read(at, kept?.range ?? null, cursor)).found;
    const givenRows = (await read(at, given?.range ?? null)).found;
    expect(givenRows.length).toBeGreaterThan(whole.found.length / 4);
    expect([...keptRows, ...givenRows]).toEqual(whole.found.slice(-keptRows.length - givenRows.length));
    const all = [...(await read(at, kept?.range ?? null)).found, ...givenRows];
    expect(all).toEqual(whole.found);
    const end = whole.cursors.at(-1) ?? null;
    expect(await at.source.splitTask({ relation: at.table.relation, ...task, cursor: end })).toBeNull();
    await at.source.close();
  });
});

describe('partitions and heirs', () => {
  it('are tables of their own: a wildcard finds the leaves, and each is read alone', async () => {
    const database = await postgres.createDatabase();
    await database.query(`
      create table part (n int, k int, primary key (n, k)) partition by range (k);
      create table part_1 partition of part for values from (0) to (10);
      create table part_2 partition of part for values from (10) to (20) partition by list (k);
      create table part_2a partition of part_2 default;
      insert into part select i, i from generate_series(0, 19) i;
      create table parent (n int primary key); create table parent_heir (primary key (n)) inherits (parent);
      insert into parent values (100); insert into parent_heir values (200);
      analyze; create publication powersync for all tables`);
    for (const planStrategy of ['blocks', 'keys'] as const) {
      const source = sourceOn(database, { planStrategy });
      const wildcard = { connectionTag: 'default', schema: 'public', name: 'pa', wildcard: true };
      const tables = await source.discover([wildcard]);
      const rows: Record<string, string[]> = {};
      for (const table of tables) {
        expect(table.problem).toBeNull();
        const { tasks } = await source.planTable(table.relation);
        const parts = await Promise.all(tasks.map((task) => read({ database, source, table }, task.range)));
        rows[table.relation.name] = parts.flatMap(({ found }) => found).sort((a, b) => Number(a) - Number(b));
      }
      const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));
      expect(rows).toEqual({
        part_1: numbers(0, 10),
        part_2a: numbers(10, 20),
        parent: ['100'],
        parent_heir: ['200'],
      });
      const [root] = await source.discover([{ ...wildcard, name: 'part', wildcard: false }]);
      expect(root?.problem?.code).toBe('SLU_S1152');
      await source.close();
    }
  });
});
