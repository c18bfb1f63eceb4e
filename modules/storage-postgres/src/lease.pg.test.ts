/** Who may write a stream: at any time one, whatever became of the one before. */
import { putOp, systemClock } from '@sluice/core';
import type { BucketStorage, Effect, RowWrite, StreamWriter, TableState } from '@sluice/storage';
import { afterEach, expect, test } from 'vitest';
import { FaultProxy } from '../../../test/kit/fault-proxy.ts';
import { copiedTable, useStorages } from '../../../test/kit/postgres-storages.ts';

const LEASE_MS = 1_500;
const proxies: FaultProxy[] = [];
const world = useStorages({ leaseMs: LEASE_MS });
const { open } = world;

// What is registered last runs first: a storage is not closed while its server is silent.
afterEach(async () => {
  for (const proxy of proxies.splice(0)) {
    proxy.heal();
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
