/**
 * A bank: accounts in three tables, money and accounts moved between them by many writers at once, in transactions that
 * stay open while others commit, or are rolled back. The total is the same after every commit, so it must be the same in
 * every checkpoint that a client completes: during the copy's end, while connections break, and after a kill -9.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpError, SyncClient } from '../kit/client.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { startProxy } from '../kit/recording-proxy.ts';
import { type SeededRandom, seededRandom } from '../kit/seeded-random.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { isConnectionLoss } from '../kit/watching-client.ts';

const TABLES = ['checking', 'savings', 'vault'] as const;
const RULES = `bucket_definitions:
  bank:
    data:
${TABLES.map((table) => `      - SELECT * FROM ${table}`).join('\n')}
`;
const ACCOUNTS = sized(6000, 60_000);
const TOTAL = ACCOUNTS * 100;
const WRITERS = 8;
const SECONDS = sized(10, 60);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

/** One transaction: money from one account to another, or an account to another table or number. */
async function transact(connection: Client, random: SeededRandom, names: () => string): Promise<void> {
  const [from, to] = [random.pick(TABLES), random.pick(TABLES)];
  await connection.query('BEGIN');
  const pause = () => (random.int(4) === 0 ? sleep(random.int(400)) : undefined);
  const any = `(SELECT id FROM ${from} OFFSET ${random.int(500)} LIMIT 1 FOR UPDATE SKIP LOCKED)`;
  switch (random.int(4)) {
    case 0: {
      // Gone from one table, and back in another, a little later.
      const { rows } = await connection.query<{ balance: string; note: string }>(
        `DELETE FROM ${from} WHERE id = ${any} RETURNING balance, note`,
      );
      await pause();
      for (const { balance, note } of rows) {
        await connection.query(`INSERT INTO ${to} VALUES ($1, $2, $3)`, [names(), balance, note]);
      }
      break;
    }
    case 1:
      await connection.query(`UPDATE ${from} SET id = $1 WHERE id = ${any}`, [names()]);
      await pause();
      break;
    default: {
      const amount = random.int(50);
      const taken = await connection.query(`UPDATE ${from} SET balance = balance - $1 WHERE id = ${any}`, [amount]);
      await pause();
      if (taken.rowCount === 1) {
        const given = await connection.query(
          `UPDATE ${to} SET balance = balance + $1 WHERE id = (SELECT id FROM ${to} OFFSET ${random.int(500)} LIMIT 1 FOR UPDATE SKIP LOCKED)`,
          [amount],
        );
        if (given.rowCount !== 1) return void (await connection.query('ROLLBACK'));
      }
    }
  }
  await connection.query(random.int(10) === 0 ? 'ROLLBACK' : 'COMMIT');
}

function accountsOf(client: SyncClient): string[] {
  return TABLES.flatMap((table) =>
    [...client.rows(table)].map(([id, row]) => `${table}/${id} ${row['balance'] as number}`),
  ).toSorted();
}

interface Books {
  readonly accounts: number;
  readonly total: number;
}

function booksOf(client: SyncClient): Books {
  let accounts = 0;
  let total = 0;
  for (const table of TABLES) {
    for (const row of client.rows(table).values()) {
      accounts++;
      total += row['balance'] as number;
    }
  }
  return { accounts, total };
}

test(`${WRITERS} writers move money for ${SECONDS} s`, { timeout: (SECONDS + 120) * 1000 }, async () => {
  const db = await postgres.createDatabase();
  for (const [index, table] of TABLES.entries()) {
    await db.query(`CREATE TABLE ${table} (id text PRIMARY KEY, balance int8 NOT NULL, note text)`);
    await db.query(`INSERT INTO ${table} SELECT '${table}' || n, 100, repeat(md5(n::text), 3)
      FROM generate_series(1, ${ACCOUNTS}) AS n WHERE n % 3 = ${index}`);
  }
  await db.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  const proxy = await startProxy({ host: '127.0.0.1', port: postgres.port });
  let writing = true;
  let named = 0;
  const writers = Array.from({ length: WRITERS }, async (_, index) => {
    const random = seededRandom(testSeed + index);
    const connection = await db.connect();
    while (writing) await transact(connection, random, () => `moved${named++}`);
    await connection.end();
  });
  const service = await ServiceProcess.start({
    sourceUri: db.uri.replace(`:${postgres.port}/`, `:${proxy.port}/`),
    rules: RULES,
  });
  const client = new SyncClient({
    endpoint: service.url,
    token: await tokenFor({ sub: 'auditor', claims: {} }),
    format: 'bson',
  });
  const books: Books[] = [];
  let stopping = false;
  let failure: Error | null = null;
  const listening = (async () => {
    while (!stopping) {
      try {
        await client.connect((line) => void ('checkpoint_complete' in line && books.push(booksOf(client))));
      } catch (error) {
        if (!(error instanceof HttpError || isConnectionLoss(error as Error))) failure ??= error as Error;
      }
      await sleep(50);
    }
  })();
  try {
    await service.until('the first checkpoint', () => books.length > 0);
    await sleep((SECONDS * 1000) / 3);
    proxy.cutAll();
    await sleep((SECONDS * 1000) / 3);
    await service.kill();
    await service.start();
    await sleep((SECONDS * 1000) / 3);
    writing = false;
    await Promise.all(writers);
    const select = TABLES.map((table) => `SELECT '${table}/' || id || ' ' || balance AS account FROM ${table}`);
    const accounts = (await db.query<{ account: string }>(select.join(' UNION ALL '))).map(({ account }) => account);
    await expect.poll(() => accountsOf(client)).toEqual(accounts.toSorted());
    expect(failure).toBeNull();
    expect(books.filter(({ accounts, total }) => accounts !== ACCOUNTS || total !== TOTAL)).toEqual([]);
    expect(books.length).toBeGreaterThan(SECONDS);
    expect(client.stats.checksumFailures).toBe(0);
  } finally {
    writing = false;
    stopping = true;
    client.disconnect();
    await Promise.allSettled([listening, ...writers]);
    await service.dispose();
    await proxy.close();
  }
});
