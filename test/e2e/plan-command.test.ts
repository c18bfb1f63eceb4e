/** `sluice plan` against a real source: what it prints is what the copy would store, and nothing is left behind. */
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { PROGRAM } from '../../service/src/dev/program.ts';
import type { PlanDocument } from '../../service/src/cli/plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-plan-'));

let postgres: TestPostgres;
let database: TestDatabase;
beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query(`
    create table big (id int primary key, pad text);
    insert into big select i, repeat('p', 1900) from generate_series(1, 40000) i;
    create table small (id int primary key); insert into small select generate_series(1, 100);
    create table keyless (id int);
    analyze; create publication powersync for all tables`);
});
afterAll(() => postgres.stop());

function plan(rules: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const config = join(folder, 'sluice.yaml');
  const connection = { type: 'postgresql', uri: database.uri, sslmode: 'disable' };
  const snapshot = { strategy: 'keys', max_rows_per_second: 2000 };
  const syncRules = { content: rules };
  writeFileSync(
    config,
    JSON.stringify({ replication: { connections: [connection] }, snapshot, sync_rules: syncRules }),
  );
  return new Promise((resolve) => {
    const command = [...PROGRAM, 'plan', ...args];
    execFile(process.execPath, command, { cwd: folder }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

const rulesOf = (...tables: string[]) =>
  `bucket_definitions:\n  all:\n    data:\n${tables.map((table) => `      - SELECT * FROM ${table}\n`).join('')}`;

it('prints tables with tasks, rows, bytes and minutes, at a rate that it names', { timeout: 60_000 }, async () => {
  const { code, out } = await plan(rulesOf('big', 'small'), '--json');
  expect(code).toBe(0);
  const document = JSON.parse(out) as PlanDocument;
  const [big, small] = document.tables;
  expect(big).toMatchObject({ name: 'big', rows: 40_000, problem: null, plan: { strategy: 'keys' } });
  expect(big?.tasks).toBeGreaterThan(1);
  expect(big?.plan?.tasks[0]?.range).toMatchObject({ key: ['id'], from: null });
  expect(small).toMatchObject({ name: 'small', rows: 100, tasks: 1 });
  expect(document.rate).toEqual({ rowsPerSecond: 2000, because: 'snapshot.max_rows_per_second' });
  expect(document.total).toMatchObject({ rows: 40_100, minutes: 0.33 });
  const text = await plan(rulesOf('big', 'small'), '--rows-per-second', '1000');
  expect(text.out).toMatch(/public\.big +keys +\d+ +40,000 /);
  expect(text.out).toMatch(/at 1,000 rows\/s \(--rows-per-second\)/);
  expect(
    await database.query('select slot_name from pg_replication_slots where database = current_database()'),
  ).toEqual([]);
});

it('names what cannot be copied, and says so with its exit code', { timeout: 60_000 }, async () => {
  const { code, out } = await plan(rulesOf('small', 'keyless', 'absent'));
  expect(code).toBe(1);
  expect(out).toMatch(/public\.keyless +\[SLU_S1148\]/);
  expect(out).toMatch(/public\.absent +\[SLU_R1104\]/);
  expect(await plan('nonsense: [')).toMatchObject({ code: 1, err: expect.stringMatching(/^\[PSYNC_R0001\]/) });
  expect(await plan(rulesOf('small'), '--rows-per-second', 'many')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^\[SLU_C0003\]/),
  });
});
