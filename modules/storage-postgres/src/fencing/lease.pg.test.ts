/**
 * Who may write a stream: at any time one, whatever became of the one before; and beside it those that copy, each for as
 * long as it is not taken for dead.
 */
import { putOp, systemClock } from '@sluice/core';
import {
  type BucketStorage,
  type CopyWriter,
  type Effect,
  type FlushResult,
  PackedRows,
  type RowWrite,
  type StreamWriter,
  type TableState,
  type TaskRef,
} from '@sluice/storage';
import { afterEach, expect, test } from 'vitest';
import { CommitFaults } from '../../../../test/kit/commit-faults.ts';
import { FaultProxy } from '../../../../test/kit/fault-proxy.ts';
import {
  copiedTable,
  storageTools as tools,
  uncopiedTable,
  useStorages,
} from '../../../../test/kit/postgres-storages.ts';
import type { PostgresStorageConfig } from '../config.ts';
import { Database } from '../database.ts';
import type { Fence } from './fence.ts';
import { FencedWrites } from './fenced-writes.ts';
import { enterCopyWriter } from './copy-writers.ts';
import { Names } from '../names.ts';
import { nothingAhead, Session } from './session.ts';
import { resolveSettings } from '../settings.ts';
import { ConnectionSql } from '../sql.ts';

const LEASE_MS = 1_500;
const proxies: { heal?(): void; stop(): Promise<void> }[] = [];
const world = useStorages({ leaseMs: LEASE_MS });
const { open } = world;

// What is registered last runs first: a storage is not closed while its server is silent.
afterEach(async () => {
  for (const proxy of proxies.splice(0)) {
    proxy.heal?.();
    await proxy.stop();
  }
});
async function proxied(): Promise<{ storage: BucketStorage; proxy: FaultProxy }> {
  const proxy = await FaultProxy.start({ host: '127.0.0.1', port: world.postgres.port });
  proxies.push(proxy);
  return { proxy, storage: await open({ hostname: '127.0.0.1', port: proxy.port }) };
}

function evaluate(write: RowWrite): Effect {
  const op = putOp('all', 'todos', write.key, write.key, '{}');
  return { record: Buffer.from(write.key), ops: [op], lookups: [], partial: false };
}

function flush(writer: StreamWriter, table: TableState, key: string) {
  return writer.flush({ writes: [{ tableId: table.id, key }], evaluate, boundary: '02' });
}

/** Until the lease is free or the time is up. @returns the writer, and how long it took */
async function takeOver(storage: BucketStorage, limitMs: number): Promise<{ writer: StreamWriter; afterMs: number }> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return { writer: await storage.openWriter(1, 'standby'), afterMs: performance.now() - startedAt };
    } catch (error) {
      if (performance.now() - startedAt > limitMs) throw error;
      await systemClock.sleep(50);
    }
  }
}

test('a holder that fell silent is succeeded after its lease, and can write nothing when it wakes', async () => {
  const { storage, proxy } = await proxied();
  await storage.createStream('rules', 1);
  const sleeper = await storage.openWriter(1, 'sleeper');
  const table = await copiedTable(sleeper);
  await flush(sleeper, table, 'a');
  const standby = await open();
  await expect(standby.openWriter(1, 'standby')).rejects.toMatchObject({ code: 'PSYNC_S1003' });
  proxy.silence();
  const { writer, afterMs } = await takeOver(standby, 60_000);
  expect(afterMs).toBeGreaterThan(LEASE_MS / 3);
  await flush(writer, table, 'b');
  const late = [flush(sleeper, table, 'late'), sleeper.commit('02'), sleeper.saveSourceState('late')];
  proxy.heal();
  for (const each of late) await expect(each).rejects.toMatchObject({ code: 'SLU_R1101' });
  expect(await flush(writer, table, 'c')).toMatchObject({ headOp: 3 });
  expect((await standby.listStreams())[0]?.source).toBeNull();
});

test('a holder that fell silent inside a transaction loses its lock, too', async () => {
  const storage = await open();
  await storage.createStream('rules', 1);
  const sleeper = await storage.openWriter(1, 'sleeper');
  // As the sleeper's own transaction does before it falls asleep; with the setting of its sessions.
  const lock = await world.database.connect();
  await lock.query(`set idle_in_transaction_session_timeout = ${LEASE_MS}`);
  await lock.query('begin; select 1 from sluice.stream_states where id = 1 for update');
  await sleeper.close();
  const { writer } = await takeOver(await open(), 60_000);
  await expect(lock.query('select 1')).rejects.toThrow();
  await writer.close();
});

test('a holder whose session ended is succeeded at once', async () => {
  const storage = await open({ leaseMs: 3_600_000 });
  await storage.createStream('rules', 1);
  await storage.openWriter(1, 'killed');
  const standby = await open({ leaseMs: 3_600_000 });
  await expect(standby.openWriter(1, 'standby')).rejects.toMatchObject({ code: 'PSYNC_S1003' });
  // What the server sees of a killed process.
  await world.close(storage);
  await takeOver(standby, 30_000);
});

test('an idle holder keeps its lease for many periods, and goes on after all its connections were broken', async () => {
  const { storage, proxy } = await proxied();
  await storage.createStream('rules', 1);
  const writer = await storage.openWriter(1, 'idle');
  const table = await copiedTable(writer);
  const until = () => world.database.query('select lease_until::text as until from sluice.stream_states');
  const [before] = await until();
  await systemClock.sleep(2 * LEASE_MS);
  const [after] = await until();
  expect(after?.until > before?.until).toBe(true);
  proxy.cut();
  expect(await flush(writer, table, 'a')).toMatchObject({ headOp: 1 });
  proxy.cut();
  expect(await writer.commit('02')).toMatchObject({ kind: 'created', checkpoint: { opId: 1 } });
});

test('of many that try at once, one gets the lease', async () => {
  const storage = await open();
  await storage.createStream('rules', 1);
  const others = await Promise.all([open(), open(), open()]);
  const tries = [storage, ...others].flatMap((each) => [each.openWriter(1, 'one'), each.openWriter(1, 'two')]);
  const results = await Promise.allSettled(tries);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

/** One row of the table's only task. */
function chunk(copier: CopyWriter, table: TableState, key: string): Promise<FlushResult> {
  const { id: tableId, generation, truncateEpoch } = table;
  return copier.flushSnapshot({
    rows: PackedRows.of(tableId, [{ key, effect: evaluate({ tableId, key }) }]),
    guard: { tableId, generation, truncateEpoch },
    progress: { index: 0, cursor: key, rows: 1, bytes: 1, done: false },
  });
}

function taskOf({ id: tableId, generation }: TableState): TaskRef {
  return { tableId, generation, index: 0 };
}

test('a copier that fell silent keeps its task for its lease, then loses it, and can write nothing when it wakes', async () => {
  const { storage, proxy } = await proxied();
  await storage.createStream('rules', 1);
  const here = await open();
  const writer = await here.openWriter(1, 'writer');
  const table = await uncopiedTable(writer);
  const sleeper = await storage.openCopyWriter(1, 'sleeper');
  await sleeper.claimTask(taskOf(table));
  await chunk(sleeper, table, 'a');
  const other = await here.openCopyWriter(1, 'other');
  proxy.silence();
  const startedAt = performance.now();
  while ((await other.claimTask(taskOf(table))) === null) {
    if (performance.now() - startedAt > 60_000) throw new Error('the task is never given up');
    await systemClock.sleep(50);
  }
  expect(performance.now() - startedAt).toBeGreaterThan(LEASE_MS / 3);
  const late = [chunk(sleeper, table, 'late'), sleeper.claimTask(taskOf(table)), sleeper.releaseTask(taskOf(table))];
  proxy.heal();
  for (const each of await Promise.allSettled(late)) expect(each).toMatchObject({ reason: { code: 'SLU_R1108' } });
  expect(await chunk(other, table, 'b')).toMatchObject({ headOp: 2 });
  expect(await here.reader(1).tasks()).toMatchObject([{ claimedBy: other.claimant, cursor: 'b', rows: 2 }]);
  // Nor is the stream's writer disturbed by any of it.
  expect(await flush(writer, table, 'late')).toMatchObject({ headOp: 3, ops: 1 });
});

test('an idle copier keeps its lease for many periods, and goes on after all its connections were broken', async () => {
  const { storage, proxy } = await proxied();
  await storage.createStream('rules', 1);
  const here = await open();
  const table = await uncopiedTable(await here.openWriter(1, 'writer'));
  const copier = await storage.openCopyWriter(1, 'idle');
  await copier.claimTask(taskOf(table));
  const until = () => world.database.query('select lease_until::text as until from sluice.copy_writers');
  const [before] = await until();
  await systemClock.sleep(2 * LEASE_MS);
  const [after] = await until();
  expect(after?.until > before?.until).toBe(true);
  for (const [at, key] of ['a', 'b', 'c'].entries()) {
    proxy.cut();
    expect(await chunk(copier, table, key)).toMatchObject({ headOp: at + 1, ops: 1 });
  }
  proxy.cut();
  await copier.close();
  expect(await here.reader(1).tasks()).toMatchObject([{ claimedBy: null, cursor: 'c', rows: 3 }]);
  expect(await world.database.query('select claimant from sluice.copy_writers')).toEqual([]);
});

test('a chunk of a copier whose commit was not answered is written once', async () => {
  const here = await open();
  await here.createStream('rules', 1);
  const writer = await here.openWriter(1, 'writer');
  const table = await uncopiedTable(writer);
  const faults: CommitFaults = await CommitFaults.start({
    target: { host: '127.0.0.1', port: world.postgres.port },
    random: () => (faults.counts.unanswered < 3 ? 0 : 1),
    unsent: 0,
    unanswered: 1,
    cut: 0,
  });
  proxies.push(faults);
  const storage = await open({ hostname: '127.0.0.1', port: faults.port });
  const copier = await storage.openCopyWriter(1, 'copier');
  await copier.claimTask(taskOf(table));
  faults.begin();
  for (const [at, key] of ['a', 'b', 'c'].entries()) {
    expect(await chunk(copier, table, key)).toEqual({ kind: 'flushed', headOp: 2 * at + 1, ops: 1 });
    // What others write must not be taken for it.
    await flush(writer, table, `streamed ${key}`);
  }
  expect(faults.counts.unanswered).toBe(3);
  expect(await here.reader(1).tasks()).toMatchObject([{ cursor: 'c', rows: 3 }]);
});

/** What a writer is made of, with something that happens just before each of its locks. */
async function openSession(beforeLock: () => Promise<unknown>, config: Partial<PostgresStorageConfig> = {}) {
  const database = new Database(resolveSettings(world.config(config), LEASE_MS), 1, tools);
  const connect = () => database.connect({ pipeline: true });
  const client = await connect();
  const names = new Names('sluice');
  const fence = await enterCopyWriter(new ConnectionSql(client), names, {
    stream: 1,
    owner: 'test',
    leaseMs: LEASE_MS,
  });
  const lock: Fence['lock'] = async (sql) => {
    await beforeLock();
    return fence.lock(sql);
  };
  const watched: Fence = {
    stream: 1,
    claimant: fence.claimant,
    lock,
    read: (sql) => fence.read(sql),
    write: (sql, next) => fence.write(sql, next),
    renew: (sql) => fence.renew(sql),
    release: (sql) => fence.release(sql),
    lost: () => fence.lost(),
  };
  const session = new Session({ ...tools, fence: watched, where: 'here', connect, onClosed: () => undefined }, client);
  const writes = new FencedWrites({ ...tools, session, fence: watched, names, leaseMs: LEASE_MS });
  const close = async () => {
    await writes.close();
    await database.close();
  };
  return { session, writes, close };
}

test('rows that others keep overtaking are evaluated behind the lock in the end', async () => {
  await (await open()).createStream('rules', 1);
  const steps: string[] = [];
  const { writes, close } = await openSession(async () => {
    await world.database.query(
      `update sluice.stream_states set counters = (counters::jsonb || jsonb_build_object('copies', $1::int))::text`,
      [steps.length],
    );
    steps.push('locked');
  });
  const value = await writes.changeEvaluated({
    evaluate: async () => void steps.push('evaluated'),
    ahead: nothingAhead,
    write: async () => ({ value: 'done' }),
  });
  expect(value).toBe('done');
  const ahead = ['evaluated', 'locked'];
  expect(steps).toEqual([...ahead, ...ahead, ...ahead, 'locked', 'evaluated']);
  await close();
});

test('of two commits that were not answered, the one that happened is reported', async () => {
  const storage = await open();
  await storage.createStream('rules', 1);
  const writer = await storage.openWriter(1, 'writer');
  const table = await copiedTable(writer);
  const faults: CommitFaults = await CommitFaults.start({
    target: { host: '127.0.0.1', port: world.postgres.port },
    random: () => (faults.counts.unsent + faults.counts.unanswered) / 2,
    unsent: 0.5,
    unanswered: 0.5,
    cut: 0,
  });
  proxies.push(faults);
  let locks = 0;
  const overtaken = () => flush(writer, table, `${locks++}`);
  const { session, close } = await openSession(overtaken, { hostname: '127.0.0.1', port: faults.port });
  faults.begin();
  const headOp = await session.transact<number, void>(async (_sql, row) => {
    const state = { ...row.state, headOp: row.state.headOp + 1 };
    return { value: state.headOp, next: { state, counters: row.counters } };
  }, nothingAhead);
  expect(faults.counts).toMatchObject({ unsent: 1, unanswered: 1 });
  // Each of three locks came behind a flush, and the second of them was followed by the commit that happened.
  expect(headOp).toBe(3);
  expect(await storage.reader(1).checkpointState()).toMatchObject({ headOp: 4 });
  faults.end();
  await close();
});
