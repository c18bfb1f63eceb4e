import { type Logger, silentLogger, systemClock, systemRandom } from '@sluice/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { sourceOn } from '../../../test/kit/postgres-source.ts';
import type { PostgresSourceConfig } from './config.ts';
import { createPostgresSource } from './source.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const PUBLICATION = 'create publication powersync for all tables';

async function verdict(setup: string, config: (database: TestDatabase) => PostgresSourceConfig = () => ({})) {
  const database = await postgres.createDatabase();
  if (setup !== '') await database.query(setup);
  const source = sourceOn(database, config(database));
  try {
    return await source.preflight().then(
      () => null,
      (error: unknown) => error,
    );
  } finally {
    await source.close();
  }
}

describe('preflight', () => {
  it('finds nothing wrong where nothing is', async () => {
    expect(await verdict(PUBLICATION)).toBeNull();
  });

  it('names the address that nobody answers', async () => {
    const error = await verdict(PUBLICATION, () => ({ port: 1025, connectTimeoutMs: 3_000 }));
    expect(error).toMatchObject({ code: 'PSYNC_S1121', action: 'retry', where: expect.stringContaining(':1025/') });
  });

  it('names a host that does not exist', async () => {
    const error = await verdict(PUBLICATION, () => ({ hostname: 'nowhere.invalid', connectTimeoutMs: 5_000 }));
    expect(error).toMatchObject({ code: 'PSYNC_S1121' });
  });

  it('refuses a server without TLS unless sslmode is disable', async () => {
    const error = await verdict(PUBLICATION, () => ({ sslmode: 'verify-full' }));
    expect(error).toMatchObject({ code: 'PSYNC_S1121', message: expect.stringContaining('does not support SSL') });
  });

  it('tells a wrong password, and keeps it to itself', async () => {
    const error = await verdict(PUBLICATION, () => ({ password: 'hunter2' }));
    expect(error).toMatchObject({ code: 'SLU_S1122' });
    expect(String((error as Error).message)).not.toContain('hunter2');
  });

  it('tells a database that does not exist', async () => {
    const error = await verdict(PUBLICATION, () => ({ database: 'nothing_here' }));
    expect(error).toMatchObject({ code: 'PSYNC_S1121', hint: expect.stringContaining('Create the database') });
  });

  it('tells a role that may not replicate, with the statement that lets it', async () => {
    await postgres.createDatabase('roles').then((db) => db.query("create role plain login password 'plain'"));
    const error = await verdict(PUBLICATION, () => ({ username: 'plain', password: 'plain' }));
    expect(error).toMatchObject({
      code: 'SLU_S1124',
      hint: expect.stringContaining('ALTER ROLE "plain" REPLICATION'),
    });
  });

  it.each([
    ['PSYNC_S1141', 'select 1', 'CREATE PUBLICATION "powersync" FOR ALL TABLES;'],
    ['PSYNC_S1142', `${PUBLICATION} with (publish = 'insert, update')`, 'SET (publish = '],
    ['PSYNC_S1143', `${PUBLICATION} with (publish_via_partition_root = true)`, 'publish_via_partition_root = false'],
  ])('tells %s', async (code, setup, remedy) => {
    expect(await verdict(setup)).toMatchObject({ code, hint: expect.stringContaining(remedy), action: 'retry' });
  });

  it('warns of tables whose rows are hidden, which may be none of ours', async () => {
    const database = await postgres.createDatabase();
    await database.query(`create table hidden (id int primary key); alter table hidden enable row level security; ${PUBLICATION};
      create role watched login replication password 'w'`);
    const warnings: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (fields) => warnings.push(fields), child: () => logger };
    const config = { uri: database.uri, username: 'watched', password: 'w', sslmode: 'disable' as const };
    const source = createPostgresSource(config, { clock: systemClock, random: systemRandom, logger });
    await source.preflight();
    expect(warnings).toMatchObject([{ code: 'PSYNC_S1145', tables: 1, example: 'public.hidden' }]);
    await source.close();
  });

  it('gives statements that mend what it found', async () => {
    const database = await postgres.createDatabase();
    const source = sourceOn(database);
    await database.query(`${PUBLICATION} with (publish = 'insert', publish_via_partition_root = true)`);
    const mended: string[] = [];
    for (;;) {
      const error = await source.preflight().then(
        () => null,
        (each: unknown) => each as { code: string; hint: string },
      );
      if (error === null) break;
      mended.push(error.code);
      await database.query(error.hint);
    }
    expect(mended).toEqual(['PSYNC_S1142', 'PSYNC_S1143']);
    await source.close();
  });
});

describe('preflight of a server that does not write logical WAL', () => {
  it('tells it', async () => {
    const replica = await startPostgres({ settings: { wal_level: 'replica' } });
    const source = sourceOn(await replica.createDatabase());
    const attempt = source.preflight();
    await expect(attempt).rejects.toMatchObject({ code: 'SLU_S1123', hint: expect.stringContaining('wal_level') });
    await source.close();
    await replica.stop();
  });
});
