/** What only this adapter has: a schema, plans, notifications, and a server that others use, too. */
import { putOp, silentLogger } from '@sluice/core';
import type { BucketStorage, Effect, RowWrite, TableState } from '@sluice/storage';
import { expect, test } from 'vitest';
import { copiedTable, storageTools as tools, uncopiedTable, useStorages } from '../../../test/kit/postgres-storages.ts';
import { beginEpoch, migratePostgresStorage, openPostgresStorage } from './index.ts';
import { migrate } from './migrate.ts';
import type { Migration } from './migrations/migration.ts';
import { migrations } from './migrations/index.ts';
import { Names } from './names.ts';

const world = useStorages();
const { config, open } = world;

function evaluate(write: RowWrite): Effect {
  const bucket = `b${Number(write.key) % 100}`;
  const op = putOp(bucket, 'todos', write.key, write.key, `{"id":"${write.key}"}`);
  return { record: Buffer.from(write.key), ops: [op], lookups: [{ key: bucket, value: '[1]' }], partial: false };
}

function rows(table: TableState, from: number, count: number): RowWrite[] {
  return Array.from({ length: count }, (_, i) => ({ tableId: table.id, key: `${from + i}` }));
}

/** Columns, indexes, options and constraints of a schema's tables, by table; streams' ids left out of names. */
async function catalogue(schema: string): Promise<Record<string, unknown>> {
  const found = await world.database.query(
    `select regexp_replace(c.relname, '_[0-9]+$', '_N') as "table", c.reloptions,
       (select array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text || ' ' ||
          a.attstorage::text order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns,
       (select array_agg(regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING', '') || ' ' || i.indisunique::text order by 1)
          from pg_index i where i.indrelid = c.oid) as indexes
     from pg_class c where c.relnamespace = $1::regnamespace and c.relkind = 'r' order by 1`,
    [schema],
  );
  return Object.fromEntries(found.map(({ table, ...about }) => [table, about]));
}

async function stepwise(schema: string, steps: readonly Migration[], upTo: number): Promise<void> {
  const client = await world.database.connect();
  const names = new Names(schema);
  await migrate(client, { names, migrations: steps.slice(0, upTo), logger: silentLogger });
  await client.end();
}

test('a fresh schema equals the sum of migrations, and streams made at any of them equal their templates', async () => {
  // A step such as those to come: it must reach the streams that are there already.
  const next: Migration = {
    number: migrations.length + 1,
    name: 'test',
    statements: (names, streams) =>
      [names.template('ops'), ...streams.map((stream) => names.of(stream).ops)].map(
        (table) => `alter table ${table} add column test int4`,
      ),
  };
  const all = [...migrations, next];
  await stepwise('slow', all, 1);
  for (let version = 1; version <= all.length; version++) {
    await stepwise('slow', all, version);
    if (version > migrations.length) continue;
    const storage = version === migrations.length ? await open({ schema: 'slow' }) : null;
    await storage?.createStream('rules', 1);
  }
  await stepwise('fresh', all, all.length);
  const slow = await catalogue('slow');
  const fresh = await catalogue('fresh');
  for (const [table, about] of Object.entries(fresh)) expect(slow[table], table).toEqual(about);
  for (const table of ['ops', 'records', 'buckets', 'lookups', 'changes']) {
    expect(slow[`${table}_N`], table).toEqual(fresh[`template_${table}`]);
  }
});

test('processes that start at once make one schema; dropping a stream leaves no table of it', async () => {
  const storages = await Promise.all(Array.from({ length: 4 }, () => open()));
  const [storage] = storages as [BucketStorage];
  const first = await storage.createStream('rules', 1);
  await storage.createStream('rules', 1);
  await storage.dropStream(first.id);
  const left = await world.database.query(`select 1 from pg_class where relname ~ '_${first.id}$'`);
  expect(left).toEqual([]);
});

test('an older schema is refused where migrations are manual, a newer one everywhere', async () => {
  await expect(open({ migrations: 'manual' })).rejects.toMatchObject({ code: 'SLU_T1209' });
  expect(await migratePostgresStorage(config(), tools)).toBe(migrations.length);
  expect(await migratePostgresStorage(config(), tools)).toBe(0);
  await open({ migrations: 'manual' });
  await world.database.query(`insert into sluice.migrations (number, name) values (${migrations.length + 1}, 'newer')`);
  await expect(open()).rejects.toMatchObject({ code: 'SLU_T1202' });
});

test.each([
  [{ uri: 'postgresql://a:b@127.0.0.1:1/x' }, 'SLU_T1206'],
  [{ uri: 'mysql://a:b@127.0.0.1:1/x' }, 'SLU_T1210'],
  [{ hostname: 'h', username: 'u', password: 'p' }, 'SLU_T1210'],
  [{ uri: 'postgresql://a:b@127.0.0.1:1/x', schema: 'pg_x' }, 'SLU_T1210'],
  [{ uri: 'postgresql://a:b@127.0.0.1:1/x', sslmode: 'verify-ca' as const }, 'SLU_T1210'],
])('an address that cannot be used is named: %o', async (address, code) => {
  await expect(openPostgresStorage({ sslmode: 'disable', ...address }, tools)).rejects.toMatchObject({ code });
});

test('a login that is refused is named', async () => {
  await expect(open({ password: 'wrong' })).rejects.toMatchObject({ code: 'SLU_T1208' });
});

test('no statement reads a table that was filled a second ago from end to end', async () => {
  const storage = await open();
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  await world.database.query(`alter table sluice.records_1 set (autovacuum_enabled = off);
    alter table sluice.ops_1 set (autovacuum_enabled = off)`);
  const table = await copiedTable(writer);
  for (let flush = 0; flush < 5; flush++) {
    await writer.flush({ writes: rows(table, flush * 2_000, 2_000), evaluate, boundary: '02' });
  }
  await writer.commit('02');
  await writer.flush({ writes: rows(table, 100, 50), evaluate, boundary: '03' });
  await writer.eraseRows({
    tableId: table.id,
    boundary: '03',
    limit: 10,
    erase: () => ({ record: null, ops: [], lookups: [], partial: false }),
  });
  await writer.commit('03');
  const reader = storage.reader(stream.id);
  const buckets = Array.from({ length: 100 }, (_, i) => `b${i}`);
  const { opId } = (await reader.checkpoint()) ?? { opId: 0 };
  await reader.bucketSums(opId, buckets);
  await reader.bucketSums(opId - 2_000, buckets);
  await reader.readOps(
    opId,
    buckets.map((bucket) => ({ bucket, after: 0 })),
    { ops: 1e6, bytes: 1e9 },
  );
  await reader.lookups(opId, buckets);
  await reader.changes(0, opId);
  await reader.partialRecords(table.id, 10);
  await writer.purgeTombstones(10);
  await writer.close();
  await world.close(storage);
  const scanned = await world.database.query(
    `select relname, seq_tup_read from pg_stat_user_tables
     where schemaname = 'sluice' and relname ~ '^(ops|records|buckets|lookups|changes)_1$' and seq_tup_read > 0`,
  );
  expect(scanned).toEqual([]);
  // What was counted is there: the sessions have told of their scans.
  const [used] = await world.database.query(
    `select idx_scan::int4 as scans from pg_stat_user_tables where schemaname = 'sluice' and relname = 'records_1'`,
  );
  expect(used?.scans).toBeGreaterThan(0);
});

test('watchers of another process are told, also after their connections were broken', async () => {
  const [here, there] = [await open(), await open({ pollMs: 3_600_000 })];
  const stream = await here.createStream('rules', 1);
  const writer = await here.openWriter(stream.id, 'test');
  await copiedTable(writer);
  await writer.commit('02');
  const abort = new AbortController();
  const seen: string[] = [];
  for await (const { position } of there.reader(stream.id).watch(abort.signal)) {
    seen.push(position);
    if (seen.length === 1) await writer.commit('03', { createEmpty: true });
    if (seen.length === 2) {
      await world.database.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'sluice storage' and datname = current_database()`);
      await writer.commit('04', { createEmpty: true });
    }
    if (seen.length === 3) abort.abort();
  }
  expect(seen).toEqual(['02', '03', '04']);
});

test('commits that change nothing write nothing', async () => {
  const storage = await open({ leaseMs: 3_600_000 });
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  await copiedTable(writer);
  await writer.commit('03');
  const version = () => world.database.query('select xmin, xmax, ctid, seq from sluice.stream_states');
  const before = await version();
  expect(await writer.commit('03')).toEqual({ kind: 'unchanged' });
  expect(await writer.commit('02', { createEmpty: true })).toMatchObject({ kind: 'blocked' });
  expect(await version()).toEqual(before);
  await writer.commit('04', { createEmpty: true });
  expect(await version()).not.toEqual(before);
});

test('a new epoch stops all streams and begins one under an id that was never given out', async () => {
  const storage = await open();
  const active = await storage.createStream('old rules', 1);
  await storage.activate(active.id);
  const writer = await storage.openWriter(active.id, 'test');
  const copier = await storage.openCopyWriter(active.id, 'test');
  const processing = await storage.createStream('new rules', 2);
  const { before, epoch, stream } = await beginEpoch(config(), tools);
  expect(epoch).not.toBe(before);
  expect(stream).toBeGreaterThan(processing.id + 900);
  const streams = await storage.listStreams();
  expect(streams.map(({ lifecycle, rules }) => [lifecycle, rules])).toEqual([
    ['stopped', 'old rules'],
    ['stopped', 'new rules'],
    ['processing', 'new rules'],
  ]);
  await expect(writer.saveSourceState('x')).rejects.toMatchObject({ code: 'SLU_R1101' });
  const claiming = copier.claimTask({ tableId: 1, generation: 1, index: 0 });
  await expect(claiming).rejects.toMatchObject({ code: 'SLU_R1108' });
});

test('tasks and counters that were stored before there were copiers are read', async () => {
  const storage = await open();
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  const table = await uncopiedTable(writer);
  await world.database.query(`
    update sluice.snapshot_tasks set document = (document::jsonb - 'claimedBy')::text;
    update sluice.stream_states set counters = (counters::jsonb - 'copies')::text`);
  expect(await storage.reader(stream.id).tasks()).toMatchObject([{ claimedBy: null }]);
  const copier = await storage.openCopyWriter(stream.id, 'copier');
  expect(await copier.claimTask({ tableId: 1, generation: 1, index: 0 })).toMatchObject({ claimedBy: copier.claimant });
  expect(await writer.flush({ writes: rows(table, 0, 1), evaluate, boundary: '02' })).toMatchObject({ ops: 2 });
  const [states] = await world.database.query('select counters from sluice.stream_states');
  expect(JSON.parse(states?.counters)).toMatchObject({ tables: 1, copies: 1 });
});
