/** Certificates: what each sslmode accepts, on ordinary and on replication connections. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../test/kit/postgres.ts';
import { changesOf, sourceOn, streamToHead } from '../../../test/kit/postgres-source.ts';
import { findRunAs } from '../../../service/src/dev/postgres-binaries.ts';
import type { PostgresSourceConfig } from './config.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
const file = (name: string) => join(directory, name);
let postgres: TestPostgres;
let database: TestDatabase;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
}

/** An authority, and a certificate of it for the host name localhost alone. */
function makeCertificates(): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=test authority',
    '-days',
    '2',
  );
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
    '-subj',
    '/CN=localhost',
  );
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'server.crt',
    '-days',
    '2',
  );
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'other.key',
    '-out',
    'other.crt',
    '-subj',
    '/CN=other',
    '-days',
    '2',
  );
}

async function serverTls(): Promise<Record<string, string>> {
  // The server wants a key that belongs to it and to nobody else.
  const { uid, gid } = await findRunAs();
  if (uid !== undefined) chownSync(file('server.key'), uid, gid ?? uid);
  chmodSync(file('server.key'), 0o600);
  return { ssl: 'on', ssl_cert_file: file('server.crt'), ssl_key_file: file('server.key') };
}

beforeAll(async () => {
  if (hasOpenssl) makeCertificates();
  chmodSync(directory, 0o755);
  postgres = await startPostgres(hasOpenssl ? { settings: await serverTls() } : {});
  database = await postgres.createDatabase();
  await database.query('create table t (id int primary key); create publication powersync for all tables');
});
afterAll(async () => {
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});

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
    const cacert = file('ca.crt');
    expect(await verdict({ sslmode: 'verify-full', hostname: 'localhost', cacert })).toBeNull();
    expect(await verdict({ sslmode: 'verify-full', hostname: '127.0.0.1', cacert })).toMatch(
      /^PSYNC_S1121 .*127\.0\.0\.1/,
    );
  });

  it('verify-full without a cacert goes by the authorities of the system', async () => {
    expect(await verdict({ sslmode: 'verify-full', hostname: 'localhost' })).toMatch(/^PSYNC_S1121 .*certificate/);
  });

  it('verify-ca accepts any host of the authority, and no other authority', async () => {
    const pem = readFileSync(file('ca.crt'), 'utf8');
    expect(await verdict({ sslmode: 'verify-ca', hostname: '127.0.0.1', cacert: pem })).toBeNull();
    expect(await verdict({ sslmode: 'verify-ca', hostname: '127.0.0.1', cacert: file('other.crt') })).toMatch(
      /^PSYNC_S1121/,
    );
  });

  it('applies to the stream, which is then encrypted too', async () => {
    const source = sourceOn(database, { sslmode: 'verify-full', hostname: 'localhost', cacert: file('ca.crt') });
    await source.open(null);
    await database.query('insert into t values (1)');
    const reading = streamToHead(source);
    expect(changesOf(await reading)).toHaveLength(1);
    const held = source.stream(AbortSignal.timeout(10_000))[Symbol.asyncIterator]();
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
