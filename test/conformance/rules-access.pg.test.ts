/**
 * Who may see what: a row is in one of the user's buckets if, and only if, a query on a real Postgres says so. The rules
 * go through indexes, buckets and lookups on the texts that Postgres sends; the query reads the tables.
 */
import { parseSyncRules, type RowSink, type SyncRules } from '@sluice/sync-rules';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { seededRandom } from '../kit/seeded-random.ts';
import { sized, testSeed } from '../kit/size.ts';
import { type Claims, randomBucketDefinition, randomClaims, randomRows, randomStream, TABLES } from './access-rules.ts';

const WORLDS = sized(15, 500);
const RULES_PER_WORLD = sized(20, 40);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

type TableName = keyof typeof TABLES;
type Rows = Readonly<Record<TableName, readonly (readonly (string | null)[])[]>>;

const ascending = (left: number, right: number): number => left - right;
const tableNames = Object.keys(TABLES) as readonly TableName[];

async function fill(client: pg.Client, rows: Rows): Promise<void> {
  for (const table of tableNames) {
    await client.query(`truncate ${table}`);
    const tuples = rows[table].map(
      (row) => `(${row.map((cell) => (cell === null ? 'null' : `'${cell}'`)).join(', ')})`,
    );
    await client.query(`insert into ${table} values ${tuples.join(', ')}`);
  }
}

async function read(client: pg.Client): Promise<Rows> {
  const read = async (table: TableName): Promise<Rows[TableName]> => {
    const columns = Object.keys(TABLES[table]).map((name) => `${name}::text`);
    const { rows } = await client.query<(string | null)[]>({
      text: `select ${columns.join()} from ${table}`,
      rowMode: 'array',
    });
    return rows;
  };
  return { p: await read('p'), q: await read('q'), r: await read('r') };
}

async function visible(rules: SyncRules, rows: Rows, claims: Claims): Promise<readonly number[]> {
  const found: { readonly bucket: string; readonly id: string }[] = [];
  const lookups = new Map<string, string[]>();
  const sink: RowSink = {
    data: (bucket, _type, id) => found.push({ bucket, id }),
    lookup: (key, sets) => lookups.set(key, [...(lookups.get(key) ?? []), sets]),
    error: (_definition, message) => expect.fail(message),
  };
  for (const name of tableNames) {
    const columns = Object.entries(TABLES[name]).map(([column, type]) => ({ name: column, type, typeId: 0 }));
    const evaluator = rules.compileTable({ connectionTag: 'default', schema: 'public', name, columns });
    for (const row of rows[name]) evaluator?.evaluate(row, sink);
  }
  const token = { ...claims };
  const resolution = rules.resolve({ token, parameters: {}, subscriptions: [], includeDefaults: true });
  const dynamic = await resolution.dynamic?.resolve(async (keys) => keys.map((key) => lookups.get(key) ?? []));
  expect([...resolution.streams.flatMap(({ errors }) => errors), ...(dynamic?.errors ?? [])]).toEqual([]);
  const buckets = new Set((dynamic?.buckets ?? resolution.staticBuckets).map(({ bucket }) => bucket));
  return [...new Set(found.filter(({ bucket }) => buckets.has(bucket)).map(({ id }) => Number(id)))].sort(ascending);
}

it.each([
  ['streams', randomStream],
  ['bucket definitions', randomBucketDefinition],
] as const)('%s show the rows that Postgres finds', { timeout: sized(60_000, 1_800_000) }, async (_, make) => {
  const random = seededRandom(testSeed);
  const client = await (await postgres.createDatabase()).connect();
  for (const [table, columns] of Object.entries(TABLES)) {
    await client.query(
      `create table ${table} (${Object.entries(columns)
        .map((each) => each.join(' '))
        .join()})`,
    );
  }
  let shown = 0;
  let hidden = 0;
  for (let world = 0; world < WORLDS; world++) {
    await fill(client, { p: randomRows(random, 'p'), q: randomRows(random, 'q'), r: randomRows(random, 'r') });
    const rows = await read(client);
    for (let count = 0; count < RULES_PER_WORLD; count++) {
      const { yaml, oracle } = make(random);
      const claims = randomClaims(random);
      const { rules, diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public' });
      if (rules === null) throw new Error(`${yaml}\n${JSON.stringify(diagnostics)}`);
      const { rows: wanted } = await client.query<{ id: number }>(oracle(claims));
      const ids = wanted.map(({ id }) => id).sort(ascending);
      const told = `seed ${testSeed}, world ${world}\n${yaml}\n${oracle(claims)}\n${JSON.stringify({ claims, rows })}`;
      expect(await visible(rules, rows, claims), told).toEqual(ids);
      shown += ids.length;
      hidden += rows.p.length - ids.length;
    }
  }
  expect(Math.min(shown, hidden)).toBeGreaterThan((WORLDS * RULES_PER_WORLD) / 4);
  await client.end();
});
