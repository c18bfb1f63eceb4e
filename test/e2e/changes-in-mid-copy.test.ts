/**
 * What people do to a table while it is being copied. Its copy ends, goes on or starts over; the other tables are not
 * held up by it; and clients end up with what the source has.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SyncClient } from '../kit/client.ts';
import { heldRows } from '../kit/held-rows.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import { sized } from '../kit/size.ts';
import { copyStatus } from '../kit/status-watch.ts';

const RULES = `bucket_definitions:
  everything:
    data:
      - SELECT * FROM big
      - SELECT * FROM small
`;
const ROWS = sized(120_000, 500_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function bigDatabase(): Promise<TestDatabase> {
  const db = await postgres.createDatabase();
  await db.query('CREATE TABLE big (id int8 PRIMARY KEY, name text, pad text)');
  await db.query(`INSERT INTO big SELECT n, 'name' || n, repeat('p', 200) FROM generate_series(1, ${ROWS}) AS n`);
  await db.query(`CREATE TABLE small (id text PRIMARY KEY, v int8); INSERT INTO small VALUES ('a', 1)`);
  await db.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  return db;
}

const cases: Readonly<Record<string, readonly string[]>> = {
  emptied: ['TRUNCATE big', `INSERT INTO big SELECT n, 'after', 'z' FROM generate_series(1, 1000) AS n`],
  rewritten: ['VACUUM FULL big'],
  dropped: ['DROP TABLE big'],
  renamed: ['ALTER TABLE big RENAME TO other'],
  recreated: [`DROP TABLE big; CREATE TABLE big (id int8 PRIMARY KEY, name text)`, `INSERT INTO big VALUES (1, 'one')`],
  'without a column': ['ALTER TABLE big DROP COLUMN pad'],
};

test.each(Object.entries(cases))('%s', { timeout: sized(90_000, 300_000) }, async (_name, statements) => {
  const db = await bigDatabase();
  const service = await ServiceProcess.start({ sourceUri: db.uri, rules: RULES });
  try {
    await service.until('some rows are copied', async () => ((await copyStatus(service))?.rows ?? 0) > 1000);
    expect((await copyStatus(service))?.snapshotDone).toBe(false);
    for (const statement of statements) await db.query(statement);
    await db.query('UPDATE small SET v = 99');
    await service.until('ready', async () => (await service.probe('readiness')) === 200, sized(60_000, 240_000));
    const client = new SyncClient({ endpoint: service.url, token: await tokenFor({ sub: 'a', claims: {} }) });
    await client.sync((synced) => synced.rows('small').get('a')?.['v'] === 99, 60_000);
    const exists = await db.query(`SELECT 1 FROM pg_class WHERE relname = 'big' AND relkind = 'r'`);
    const rows =
      exists.length === 0
        ? []
        : await db.query<{ id: string; row: unknown }>(`SELECT id, to_json(b) AS row FROM big AS b`);
    const held = new Map(
      [...(heldRows(client).get('big') ?? [])].map(([id, json]) => [id, JSON.parse(json) as unknown]),
    );
    expect(held.size).toBe(rows.length);
    expect(rows.filter(({ id, row }) => JSON.stringify(row) !== JSON.stringify(held.get(id))).slice(0, 3)).toEqual([]);
    expect(service.output).not.toContain('SLU_X');
  } finally {
    await service.dispose();
  }
});
