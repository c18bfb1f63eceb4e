/** Certificates: what each sslmode accepts, on ordinary and on replication connections. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS } from '../../../test/kit/patience.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { changesOf, sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';
import { hasOpenssl, ServerTls } from '../../../test/kit/server-tls.ts';
import type { PostgresSourceConfig } from './config.ts';

let tls: ServerTls | null = null;
let postgres: TestPostgres;
let database: TestDatabase;

beforeAll(async () => {
  tls = hasOpenssl ? await ServerTls.make() : null;
  postgres = await startPostgres(tls === null ? {} : { settings: tls.settings });
  database = await postgres.createDatabase();
  await database.query('create table t (id int primary key); create publication powersync for all tables');
});
afterAll(async () => {
  await postgres.stop();
  tls?.remove();
});

const authority = () => tls?.authority ?? '';

async function verdict(config: PostgresSourceConfig): Promise<string | null> {
  const source = sourceOn(database, config);
  try {
    return await source.preflight().then(
      () => null,
      (error: unknown) => `${(error as { code: string }).code} ${(error as Error).message}`,
    );
  } finally {
    await source.close();
  }
}

describe.skipIf(!hasOpenssl)('sslmode', () => {
  it('verify-full accepts a certificate of the authority for the right host only', async () => {
    const cacert = authority();
    expect(await verdict({ sslmode: 'verify-full', hostname: 'localhost', cacert })).toBeNull();
    expect(await verdict({ sslmode: 'verify-full', hostname: '127.0.0.1', cacert })).toMatch(
      /^PSYNC_S1121 .*127\.0\.0\.1/,
    );
  });

  it('verify-full without a cacert goes by the authorities of the system', async () => {
    expect(await verdict({ sslmode: 'verify-full', hostname: 'localhost' })).toMatch(/^PSYNC_S1121 .*certificate/);
  });

  it('verify-ca accepts any host of the authority, and no other authority', async () => {
    const pem = readFileSync(authority(), 'utf8');
    expect(await verdict({ sslmode: 'verify-ca', hostname: '127.0.0.1', cacert: pem })).toBeNull();
    expect(await verdict({ sslmode: 'verify-ca', hostname: '127.0.0.1', cacert: tls?.otherAuthority ?? '' })).toMatch(
      /^PSYNC_S1121/,
    );
  });

  it('applies to the stream, which is then encrypted too', async () => {
    const source = sourceOn(database, { sslmode: 'verify-full', hostname: 'localhost', cacert: authority() });
    await source.open(null);
    await database.query('insert into t values (1)');
    const reading = streamToHead(source);
    expect(changesOf(await reading)).toHaveLength(1);
    const held = source.stream(AbortSignal.timeout(PATIENCE_MS))[Symbol.asyncIterator]();
    await held.next();
    const encrypted = await database.query<{ ssl: boolean }>(
      "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where backend_type = 'walsender'",
    );
    expect(encrypted).toEqual([{ ssl: true }]);
    await held.return?.();
    await source.close();
  });
});

describe('a unix socket', () => {
  it('is used where the host is a directory', async () => {
    const source = sourceOn(database, { hostname: postgres.socketDirectory });
    await source.preflight();
    await source.open(null);
    await database.query('insert into t values (2)');
    expect(changesOf(await streamToHead(source))).toHaveLength(1);
    await source.close();
  });
});
