import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asOf, recordHistory } from './history.ts';
import { startLoad } from './load.ts';
import { countRows, differences, expectedRows } from './oracle.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { TEST_USERS } from './rules.ts';
import { createSchema, seedRows } from './schema.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test('the past, undone from the present, is what was read when it was the present', async () => {
  const db = await postgres.createDatabase();
  const connection = await db.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: 10_000 });
  await recordHistory(connection);
  const load = await startLoad({ uri: db.uri, population, writesPerSecond: 1000, seed: 7 });
  const readings = [];
  for (const user of TEST_USERS) {
    await sleep(300);
    const seen = await asOf(connection, null, async () => ({
      n: BigInt((await connection.query<{ n: string }>('SELECT n FROM ticker')).rows[0]?.n ?? 0),
      rows: await expectedRows(connection, user),
    }));
    readings.push({ user, ...seen });
  }
  const report = await load.stop();
  expect(report.writesPerSecond).toBeGreaterThan(500);
  for (const { user, n, rows } of readings) {
    const undone = await asOf(connection, n, () => expectedRows(connection, user));
    expect(differences(rows, undone)).toEqual([]);
    expect(countRows(undone)).toBeGreaterThan(10);
    const earlier = await asOf(connection, n - 20n, () => expectedRows(connection, user));
    expect(differences(rows, earlier)).not.toEqual([]);
  }
  await connection.end();
});
