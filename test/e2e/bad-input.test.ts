/**
 * What people get wrong, through the real process: each mistake is answered with its code, the place and a remedy; the
 * service stays up or stops with that message; and nobody is shown a stack trace.
 */
import type { ErrorCode } from '@sluice/core';
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import {
  ADMIN_TOKEN,
  freePort,
  ServiceProcess,
  type ServiceOptions,
  type TokenChanges,
  tokenFor,
} from '../kit/service-process.ts';

const RULES = `bucket_definitions:
  mine:
    parameters: SELECT request.user_id() AS user_id
    data:
      - SELECT * FROM lists WHERE owner_id = bucket.user_id
`;
const USER = { sub: 'ann', claims: {} };
const STACK = /^\s+at .*:\d+:\d+\)?$|\\n\s+at /m;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const services: ServiceProcess[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) {
    await service.dispose();
    expect(service.output).not.toMatch(STACK);
  }
});

async function prepare(options: ServiceOptions): Promise<ServiceProcess> {
  const service = await ServiceProcess.prepare(options);
  services.push(service);
  return service;
}

async function start(options: ServiceOptions): Promise<ServiceProcess> {
  const service = await prepare(options);
  await service.start();
  return service;
}

async function listsDatabase(publication = true): Promise<TestDatabase> {
  const db = await postgres.createDatabase();
  await db.query('CREATE TABLE lists (id text PRIMARY KEY, owner_id text, name text)');
  await db.query(`INSERT INTO lists VALUES ('l1', 'ann', 'Groceries')`);
  if (publication) await db.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  return db;
}

/** The process ends by itself, says the code, the place and the remedy, and nothing else that is long. */
async function expectRefusal(service: ServiceProcess, code: ErrorCode, place: string | RegExp): Promise<void> {
  service.spawn();
  const exit = await service.exit;
  expect(exit, service.output).toEqual({ code: 1, signal: null });
  expect(service.output).toContain(`[${code}]`);
  expect(service.output).toMatch(place);
  expect(service.output).toContain('→');
}

interface Reported {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** The process stays up, and the status document has the code, something that leads to the place, and a remedy. */
async function expectReported(service: ServiceProcess, code: ErrorCode, expected: { place: string; remedy: RegExp }) {
  let found: Reported | undefined;
  await service.until(
    `the status names ${code}`,
    async () => {
      const { streams } = (await service.status()) as {
        streams: readonly { error: Reported | null; problems: readonly Reported[] }[];
      };
      found =
        streams.flatMap((stream) => [stream.error, ...stream.problems]).find((each) => each?.code === code) ??
        undefined;
      return found !== undefined;
    },
    20_000,
  );
  expect(JSON.stringify(found)).toContain(expected.place);
  expect(found?.hint).toMatch(expected.remedy);
  expect(service.running).toBe(true);
  expect(await service.probe('liveness')).toBe(200);
}

describe('configuration', () => {
  test('an unknown key, with file, line and column', async () => {
    const service = await prepare({
      sourceUri: '',
      rules: RULES,
      configText: `port: 1234
replication:
  connections:
    - type: postgresql
      uri: postgresql://nobody@127.0.0.1:1/nothing
      slotname: mine
storage:
  type: lmdb
  path: ./storage
sync_rules:
  content: "bucket_definitions: {}"
`,
    });
    await expectRefusal(service, 'SLU_C0003', /sluice\.yaml:6:7/);
    expect(service.output).toContain('slotname');
  });

  test('text that is not YAML', async () => {
    const service = await prepare({ sourceUri: '', rules: RULES, configText: 'port: [1234\nstorage: }\n' });
    await expectRefusal(service, 'SLU_C0002', /sluice\.yaml:\d+:\d+/);
  });

  test('an environment variable that is not set', async () => {
    const service = await prepare({
      sourceUri: '',
      rules: RULES,
      configText: `replication:\n  connections:\n    - type: postgresql\n      uri: !env SLUICE_TEST_NOT_SET\n`,
    });
    await expectRefusal(service, 'SLU_C0004', /SLUICE_TEST_NOT_SET/);
  });

  test('an error in the SQL of the rules, with line and column', async () => {
    const db = await listsDatabase();
    const rules = RULES.replace('SELECT * FROM lists WHERE', 'SELECT * FORM lists WHERE');
    const service = await prepare({ sourceUri: db.uri, rules });
    await expectRefusal(service, 'PSYNC_R0001', /:5:\d+/);
    expect(service.output).toContain('FORM');
  });
});

describe('source', () => {
  test('a table that is not there', async () => {
    const db = await listsDatabase();
    const service = await start({ sourceUri: db.uri, rules: RULES.replace('FROM lists', 'FROM listz') });
    await expectReported(service, 'SLU_R1104', { place: 'listz', remedy: /create the table/i });
  });

  test('unreachable', async () => {
    const port = await freePort();
    const service = await start({ sourceUri: `postgresql://postgres:x@127.0.0.1:${port}/app`, rules: RULES });
    await expectReported(service, 'PSYNC_S1121', { place: String(port), remedy: /check host/i });
    expect(await service.probe('readiness')).not.toBe(200);
  });

  test('a publication that is missing; the copy starts by itself once it is made', async () => {
    const db = await listsDatabase(false);
    const service = await start({ sourceUri: db.uri, rules: RULES });
    await expectReported(service, 'PSYNC_S1141', { place: 'powersync', remedy: /create publication/i });
    await db.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    await service.until('clients are served', async () => (await ask(service)).status === 200, 60_000);
  });

  test('a slot that another process holds; replication starts by itself once it is free', async () => {
    const db = await listsDatabase();
    const service = await start({ sourceUri: db.uri, rules: RULES });
    await service.until('clients are served', async () => (await ask(service)).status === 200);
    await service.terminate();
    const [slot] = await db.query<{ slot_name: string }>(
      'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()',
    );
    const other = new LogicalReplicationService(
      { connectionString: db.uri },
      { acknowledge: { auto: false, timeoutSeconds: 0 } },
    );
    const held = other.subscribe(
      new PgoutputPlugin({ protoVersion: 1, publicationNames: ['powersync'] }),
      slot?.slot_name ?? '',
    );
    held.catch(() => {});
    await expect
      .poll(() => db.query('SELECT active FROM pg_replication_slots WHERE database = current_database()'))
      .toEqual([{ active: true }]);
    await service.start();
    await expectReported(service, 'SLU_S1147', { place: slot?.slot_name ?? 'a slot', remedy: /stop the other/i });
    await other.stop();
    await db.query(`INSERT INTO lists VALUES ('l2', 'ann', 'Errands')`);
    await service.until(
      'replication goes on',
      async () => !JSON.stringify(await service.status()).includes('SLU_S1147'),
      60_000,
    );
  });
});

/** One request to the sync stream; the body of an error, or none. */
async function ask(
  service: ServiceProcess,
  options: { token?: TokenChanges; authorization?: string | null; body?: string } = {},
): Promise<{ status: number; code: string | undefined; text: string }> {
  const authorization =
    options.authorization === undefined ? `Token ${await tokenFor(USER, options.token)}` : options.authorization;
  const abort = new AbortController();
  const response = await fetch(`${service.url}/sync/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(authorization === null ? {} : { authorization }) },
    body: options.body ?? '{"buckets":[]}',
    signal: abort.signal,
  });
  if (response.status === 200) {
    abort.abort();
    return { status: 200, code: undefined, text: '' };
  }
  const text = await response.text();
  return { status: response.status, code: (JSON.parse(text) as { error?: { code?: string } }).error?.code, text };
}

describe('clients', () => {
  let service: ServiceProcess;
  beforeAll(async () => {
    const db = await listsDatabase();
    service = await ServiceProcess.start({ sourceUri: db.uri, rules: RULES });
    await service.until('clients are served', async () => (await ask(service)).status === 200);
  });
  afterAll(async () => {
    await service.dispose();
    expect(service.output).not.toMatch(STACK);
  });

  const cases: readonly [string, Parameters<typeof ask>[1], number, ErrorCode, RegExp][] = [
    ['a token signed by another key', { token: { secret: Buffer.alloc(32, 7) } }, 401, 'PSYNC_S2101', /signature|key/i],
    ['a token of an unknown key id', { token: { keyId: 'other' } }, 401, 'PSYNC_S2101', /kid|key/i],
    ['a token that is none', { authorization: 'Token abc' }, 401, 'PSYNC_S2101', /token/i],
    ['an expired token', { token: { secondsToLive: -3600 } }, 401, 'PSYNC_S2103', /exp/i],
    ['a token for another audience', { token: { audience: 'https://elsewhere' } }, 401, 'PSYNC_S2105', /aud/i],
    ['no Authorization header', { authorization: null }, 401, 'PSYNC_S2106', /authorization/i],
    ['another kind of Authorization', { authorization: 'Basic YTpi' }, 401, 'PSYNC_S2106', /authorization/i],
    ['a body that is not JSON', { body: '{"buckets":' }, 400, 'PSYNC_S2001', /json|body/i],
    ['a body of the wrong shape', { body: '{"buckets":[{"name":1,"after":"0"}]}' }, 400, 'PSYNC_S2001', /buckets/],
    ['a list as body', { body: '[]' }, 400, 'PSYNC_S2001', /body|object/i],
  ];
  test.each(cases)('%s', async (_what, request, status, code, place) => {
    const answer = await ask(service, request);
    expect(answer, answer.text).toMatchObject({ status, code });
    expect(answer.text).toMatch(place);
    expect(answer.text).not.toMatch(STACK);
    // The service goes on.
    expect((await ask(service)).status).toBe(200);
  });

  test('rules with an SQL error, deployed by an operator', async () => {
    const response = await fetch(`${service.url}/api/sync-rules/v1/validate`, {
      method: 'POST',
      headers: { authorization: `Token ${ADMIN_TOKEN}`, 'content-type': 'application/yaml' },
      body: RULES.replace('SELECT *', 'SELECT * *'),
    });
    const text = await response.text();
    expect(text).not.toMatch(STACK);
    expect(text).toMatch(/"valid":\s*false/);
    expect((await ask(service)).status).toBe(200);
  });

  test('a route that is not there', async () => {
    const response = await fetch(`${service.url}/sync/streams`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('PSYNC_S2002');
  });
});
