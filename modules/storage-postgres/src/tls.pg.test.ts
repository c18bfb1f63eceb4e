/** Certificates: what each sslmode accepts of the storage's server, on every kind of connection, and what is said else. */
import { readFileSync } from 'node:fs';
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { hasOpenssl, ServerTls } from '../../../test/kit/server-tls.ts';
import { migratePostgresStorage } from './administer.ts';
import type { PostgresStorageConfig } from './config.ts';
import { openPostgresStorage } from './storage.ts';

const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };

describe.skipIf(!hasOpenssl)('sslmode', () => {
  let tls: ServerTls;
  let postgres: TestPostgres;
  let database: TestDatabase;
  let withoutTls: TestPostgres;
  beforeAll(async () => {
    tls = await ServerTls.make();
    [postgres, withoutTls] = await Promise.all([startPostgres({ settings: tls.settings }), startPostgres()]);
    database = await postgres.createDatabase();
  });
  afterAll(async () => {
    await Promise.all([postgres.stop(), withoutTls.stop()]);
    tls.remove();
  });

  /** Null: opened. */
  async function verdict(config: PostgresStorageConfig): Promise<string | null> {
    const refused = (error: unknown) => `${(error as { code: string }).code} ${(error as Error).message}`;
    try {
      const storage = await openPostgresStorage({ uri: database.uri, ...config }, tools);
      await storage.close();
      return null;
    } catch (error) {
      return refused(error);
    }
  }

  it('is verify-full if nothing is said: the certificate of an authority of the system, for the host', async () => {
    expect(await verdict({ hostname: 'localhost' })).toMatch(/^SLU_T1206 .*certificate/);
    expect(await verdict({ hostname: 'localhost', cacert: tls.authority })).toBeNull();
    expect(await verdict({ hostname: '127.0.0.1', cacert: tls.authority })).toMatch(/^SLU_T1206 .*127\.0\.0\.1/);
    expect(await verdict({ hostname: 'localhost', cacert: tls.otherAuthority })).toMatch(/^SLU_T1206 .*certificate/);
  });

  it('verify-ca accepts any host of the authority, and no other authority', async () => {
    const cacert = readFileSync(tls.authority, 'utf8');
    expect(await verdict({ sslmode: 'verify-ca', hostname: '127.0.0.1', cacert })).toBeNull();
    expect(await verdict({ sslmode: 'verify-ca', cacert: tls.otherAuthority })).toMatch(/^SLU_T1206 .*certificate/);
  });

  it('is never given up: a server without TLS is refused', async () => {
    const { uri } = withoutTls;
    const cacert = tls.authority;
    expect(await verdict({ uri: `${uri}?sslmode=disable`, hostname: 'localhost', cacert })).toMatch(/^SLU_T1206 .*SSL/);
    expect(await verdict({ uri, sslmode: 'verify-ca', cacert })).toMatch(/^SLU_T1206 .*SSL/);
    expect(await verdict({ uri, sslmode: 'disable' })).toBeNull();
  });

  it("is what operators' commands go by, too", async () => {
    const config = { uri: database.uri, hostname: '127.0.0.1', cacert: tls.authority, schema: 'by_hand' };
    await expect(migratePostgresStorage(config, tools)).rejects.toMatchObject({ code: 'SLU_T1206' });
    expect(await migratePostgresStorage({ ...config, hostname: 'localhost' }, tools)).toBeGreaterThan(0);
  });

  it('encrypts every connection: of the pool, of writers and of the listener', async () => {
    const storage = await openPostgresStorage(
      { uri: database.uri, hostname: 'localhost', cacert: tls.authority },
      tools,
    );
    const stream = await storage.createStream('rules', 1);
    const writer = await storage.openWriter(stream.id, 'test');
    const abort = new AbortController();
    const watching = storage.watchStreams(abort.signal)[Symbol.asyncIterator]();
    await watching.next();
    await expect
      .poll(() => database.query("select 1 from pg_stat_activity where query like 'listen %'"), { timeout: 30_000 })
      .toHaveLength(1);
    const found = await database.query<{ ssl: boolean; count: number }>(
      "select ssl, count(*)::int4 from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'sluice storage' group by ssl",
    );
    expect(found).toEqual([{ ssl: true, count: expect.any(Number) }]);
    expect(found[0]?.count).toBeGreaterThanOrEqual(3);
    abort.abort();
    await writer.close();
    await storage.close();
  });
});
