/**
 * The real service is told how to copy: one table cannot be read and is set aside while the others go on, one is paused,
 * the number of tasks is changed, a person mends the row and resumes. What was said outlives the process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { ADMIN_TOKEN, ServiceProcess } from '../kit/service-process.ts';

const ROWS = 12_000;
const ROWS_PER_SECOND = 1_500;

const SCHEMA = `
  create table big (id int primary key, pad text);
  insert into big select i, repeat('p', 500) from generate_series(1, ${ROWS}) i;
  create type mood as enum ('good', 'lost');
  create table damaged (id int primary key, mood mood);
  insert into damaged values (1, 'good'), (2, 'lost');
  create table small (id int primary key);
  insert into small select generate_series(1, 10);
  analyze;
  create table saved as select * from pg_enum;
  delete from pg_enum where enumlabel = 'lost';
  create publication powersync for table big, damaged, small`;

const RULES = `bucket_definitions:
  all:
    data:
      - SELECT id, pad FROM big
      - SELECT id, mood FROM damaged
      - SELECT id FROM small
`;

interface Table {
  readonly name: string;
  readonly snapshot: 'pending' | 'done';
  readonly rows: number;
  readonly held: { readonly kind: string; readonly error: { readonly code: string } | null } | null;
}

interface Status {
  readonly streams: readonly [
    {
      readonly checkpoint: object | null;
      readonly gates: { readonly snapshot: { readonly open: boolean; readonly waitsFor: string | null } };
      readonly copy: { readonly concurrency: number; readonly paused: boolean };
      readonly tables: readonly Table[];
    },
  ];
}

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test('a copy is set aside, paused, hurried and resumed by table', { timeout: 120_000 }, async () => {
  const database = await postgres.createDatabase();
  await database.query(SCHEMA);
  const startedAt = performance.now();
  const service = await ServiceProcess.start({
    sourceUri: database.uri,
    rules: RULES,
    config: { snapshot: { concurrency: 2, max_rows_per_second: ROWS_PER_SECOND } },
  });
  try {
    const stream = async () => ((await service.status()) as Status).streams[0];
    const table = async (name: string) => (await stream()).tables.find((each) => each.name === name);
    const order = async (path: string, body: object = {}, token = ADMIN_TOKEN) =>
      fetch(`${service.url}/api/snapshot/v1/${path}`, {
        method: 'POST',
        headers: { authorization: `Token ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });

    await service.until('big is being copied', async () => ((await table('big'))?.rows ?? 0) > 0);
    expect((await order('pause', { table: 'public.big' })).status).toBe(200);
    expect((await order('pause', {}, 'guessed')).status).toBe(401);
    expect((await order('pause', { table: 'public.bog' })).status).toBe(400);
    expect((await order('pause', { tabel: 'public.big' })).status).toBe(400);

    await service.until(
      'the damaged table is set aside',
      async () => ((await table('damaged'))?.held ?? null) !== null,
    );
    expect(await table('damaged')).toMatchObject({
      snapshot: 'pending',
      held: { kind: 'quarantined', error: { code: 'SLU_S1156', message: expect.stringContaining('enum') } },
    });
    await service.until('small is copied', async () => (await table('small'))?.snapshot === 'done');
    await sleep(1500);
    const paused = await table('big');
    expect(paused).toMatchObject({ snapshot: 'pending', held: { kind: 'paused' } });
    expect(paused?.rows).toBeLessThan(ROWS);

    await service.kill();
    await service.start();
    expect((await order('concurrency', { concurrency: 3 })).status).toBe(200);
    await service.until('three tasks may be read', async () => (await stream()).copy.concurrency === 3);
    await sleep(1000);
    expect(await table('big')).toMatchObject({ rows: paused?.rows, held: { kind: 'paused' } });
    expect((await stream()).gates.snapshot.waitsFor).toMatch(/big \(paused\)/);
    expect((await stream()).gates.snapshot.waitsFor).toMatch(/damaged \(quarantined: \[SLU_S1156\]/);

    await order('resume', { table: 'public.big' });
    await service.until('big is copied', async () => (await table('big'))?.snapshot === 'done', 60_000);
    expect(performance.now() - startedAt).toBeGreaterThan((ROWS / ROWS_PER_SECOND) * 1000);
    expect(await stream()).toMatchObject({ checkpoint: null, gates: { snapshot: { open: false } } });

    await database.query('insert into pg_enum select * from saved where oid not in (select oid from pg_enum)');
    await order('resume');
    await service.until('a checkpoint is made', async () => (await stream()).checkpoint !== null);
    expect(await table('damaged')).toMatchObject({ snapshot: 'done', rows: 2, held: null });
    expect(await table('big')).toMatchObject({ rows: ROWS });
  } finally {
    await service.dispose();
  }
});
