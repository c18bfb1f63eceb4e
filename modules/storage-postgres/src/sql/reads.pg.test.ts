/** What reads ask the server for, and what becomes of its errors. */
import { putOp } from '@sluice/core';
import { countOps, type Effect, type RowWrite } from '@sluice/storage';
import { expect, test } from 'vitest';
import { copiedTable, useStorages } from '../../../../test/kit/postgres-storages.ts';
import { Names } from '../names.ts';
import { ConnectionSql, type Sql } from '../sql.ts';
import { readOps } from './read-ops.ts';
import { readSums } from './read-sums.ts';

const world = useStorages();

/** A stream with `flushes` of so many rows each, whose keys go on. */
async function storedStream(evaluate: (write: RowWrite) => Effect, flushes: readonly number[]) {
  const storage = await world.open();
  const stream = await storage.createStream('rules', 1);
  const writer = await storage.openWriter(stream.id, 'test');
  const table = await copiedTable(writer);
  let key = 0;
  for (const count of flushes) {
    const writes = Array.from({ length: count }, () => ({ tableId: table.id, key: `${key++}` }));
    await writer.flush({ writes, evaluate, boundary: '02' });
  }
  await writer.commit('02');
  const { opId } = (await storage.reader(stream.id).checkpoint()) ?? { opId: 0 };
  const client = await world.database.connect();
  return { tables: new Names('sluice').of(stream.id), opId, sql: new ConnectionSql(client), end: () => client.end() };
}

function into(buckets: number, json = '{}'): (write: RowWrite) => Effect {
  return ({ key }) => {
    const op = putOp(`b${Number(key) % buckets}`, 'todos', key, key, json);
    return { record: Buffer.from(key), ops: [op], lookups: [], partial: false };
  };
}

function counted(inner: Sql, asked: string[]): Sql {
  return {
    rows: (text, values) => {
      asked.push(text);
      return inner.rows(text, values);
    },
    run: (text, values) => inner.run(text, values),
  };
}

test('one row of each of a thousand buckets, and a few more of some, are read by four statements', async () => {
  const { tables, opId, sql, end } = await storedStream(into(1_000), [1_000, 20]);
  const asked: string[] = [];
  const requests = Array.from({ length: 1_000 }, (_, i) => ({ bucket: `b${i}`, after: 0 }));
  const chunks = await readOps(counted(sql, asked), tables, opId, requests, { ops: 2_000, bytes: 1e6 });
  await end();
  expect(chunks.map(({ slices }) => countOps(slices))).toEqual(requests.map((_, i) => (i < 20 ? 2 : 1)));
  expect(asked).toHaveLength(4);
});

test('large ops of a few buckets are read together, however many buckets there are', async () => {
  const { tables, opId, sql, end } = await storedStream(into(7, `"${'x'.repeat(20_000)}"`), [70]);
  for (let count = 1; count <= 7; count++) {
    const asked: string[] = [];
    const requests = Array.from({ length: count }, (_, i) => ({ bucket: `b${i}`, after: 0 }));
    const chunks = await readOps(counted(sql, asked), tables, opId, requests, { ops: 1_000, bytes: 1e9 });
    expect(chunks.map(({ slices }) => countOps(slices))).toEqual(requests.map(() => 10));
    expect([count, asked.length]).toEqual([count, 2]);
  }
  await end();
});

test('so are large ops of many buckets, one of each', async () => {
  const { tables, opId, sql, end } = await storedStream(into(200, `"${'x'.repeat(20_000)}"`), [200]);
  const asked: string[] = [];
  const requests = Array.from({ length: 200 }, (_, i) => ({ bucket: `b${i}`, after: 0 }));
  const chunks = await readOps(counted(sql, asked), tables, opId, requests, { ops: 1_000, bytes: 1e9 });
  await end();
  expect(chunks.map(({ slices }) => countOps(slices))).toEqual(requests.map(() => 1));
  expect(asked.length).toBeLessThan(8);
});

test('sums that cannot be read are one error, and none that nobody meets', async () => {
  const { tables, opId, sql, end } = await storedStream(into(1), [10]);
  const unmet: unknown[] = [];
  const note = (reason: unknown) => unmet.push(reason);
  let asked = 0;
  const broken: Sql = {
    rows: async (text, values) => {
      if (++asked === 1) return sql.rows(text, values);
      throw new Error('the connection is broken');
    },
    run: (text, values) => sql.run(text, values),
  };
  process.on('unhandledRejection', note);
  await expect(readSums(broken, tables, opId - 5, ['b0'])).rejects.toThrow('the connection is broken');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  await end();
  expect(asked).toBe(3);
  expect(unmet).toEqual([]);
});
