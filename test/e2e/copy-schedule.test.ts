/**
 * The scheduler of the copy on a real source: a table of a higher priority takes the only place, a task is cut in two for
 * a place that became free, a copy is cancelled and starts over, and one that keeps the slot's WAL waiting is slowed down.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { ADMIN_TOKEN, ServiceProcess } from '../kit/service-process.ts';

/** One task of about 40 MB, worth more than two tasks of the size that is worth a cut. */
const ROWS = 26_000;
const BYTES_PER_SECOND = 6_000_000;

const SCHEMA = `
  create table big (id int primary key, pad text);
  insert into big select i, repeat('p', 1500) from generate_series(1, ${ROWS}) i;
  create table small (id int primary key);
  insert into small select generate_series(1, 10);
  analyze;
  create publication powersync for table big, small`;

const RULES = `bucket_definitions:
  all:
    data:
      - SELECT id, pad FROM big
      - SELECT id FROM small
`;

interface Table {
  readonly name: string;
  readonly snapshot: 'pending' | 'done';
  readonly generation: number;
  readonly plan: object | null;
  readonly rows: number;
  readonly held: { readonly kind: string } | null;
  readonly tasks: { readonly all: number; readonly open: readonly { readonly active: boolean }[] };
}

interface Status {
  readonly streams: readonly [
    {
      readonly checkpoint: object | null;
      readonly copy: { readonly share: number | null; readonly strain: string | null };
      readonly tables: readonly Table[];
    },
  ];
}

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_slot_wal_keep_size: '160MB', max_wal_size: '4GB' } });
});
afterAll(() => postgres.stop());

test('a copy gives way, is cut in two, is cancelled and is slowed down', { timeout: 240_000 }, async () => {
  const database = await postgres.createDatabase();
  await database.query(SCHEMA);
  const holder = await database.connect();
  const service = await ServiceProcess.start({
    sourceUri: database.uri,
    rules: RULES,
    config: { snapshot: { concurrency: 1, max_bytes_per_second: BYTES_PER_SECOND } },
  });
  try {
    const stream = async () => ((await service.status()) as Status).streams[0];
    const table = async (name: string) => (await stream())?.tables.find((each) => each.name === name);
    const order = async (path: string, body: object) => {
      const answer = await fetch(`${service.url}/api/snapshot/v1/${path}`, {
        method: 'POST',
        headers: { authorization: `Token ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(200);
    };

    await service.until('big is being copied', async () => ((await table('big'))?.rows ?? 0) > 0);
    expect(await table('small')).toMatchObject({ snapshot: 'pending', rows: 0 });
    await order('priority', { table: 'public.small', priority: 5 });
    await service.until('small is copied', async () => (await table('small'))?.snapshot === 'done');
    expect(await table('big')).toMatchObject({ snapshot: 'pending', generation: 1, tasks: { all: 1 } });

    await order('concurrency', { concurrency: 2 });
    await service.until('big is cut in two, and both parts are read', async () => {
      const { all, open } = (await table('big'))?.tasks ?? { all: 0, open: [] };
      return all === 2 && open.filter(({ active }) => active).length === 2;
    });

    await order('cancel', { table: 'public.big' });
    await service.until('what was copied of big is forgotten', async () => (await table('big'))?.plan === null);
    expect(await table('big')).toMatchObject({ snapshot: 'pending', rows: 0, held: { kind: 'cancelled' } });
    await order('resume', { table: 'public.big' });
    await service.until('big is copied anew', async () => ((await table('big'))?.rows ?? 0) > 0);
    expect((await table('big'))?.generation).toBeGreaterThan(1);
    expect((await stream())?.copy).toEqual(expect.objectContaining({ share: 1, strain: null }));

    // A transaction that stays open keeps the WAL behind it, whatever the stream confirms.
    await holder.query('begin; select pg_current_xact_id()');
    await database.query(`create table filler as select i, repeat('f', 1500) from generate_series(1, 62000) i`);
    await service.until('the copy is slowed down', async () => (await stream())?.copy.strain === 'wal');
    const slowed = (await stream())?.copy.share ?? 1;
    expect(slowed).toBeLessThan(1);
    expect((await table('big'))?.snapshot).toBe('pending');
    await holder.query('rollback');
    await database.query('checkpoint');
    await service.until('the copy gets its share back', async () => {
      return ((await stream())?.copy.share ?? 0) > slowed;
    });

    await service.until('a checkpoint is made', async () => (await stream())?.checkpoint !== null, 120_000);
    expect(await table('big')).toMatchObject({ snapshot: 'done', rows: ROWS });
  } finally {
    await service.dispose();
    await holder.end();
  }
});
