/**
 * Rules deployed over HTTP: the old ones serve until the new ones are complete, then clients move over without losing or
 * mixing anything; and what a service must never print, it does not print.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpError, SyncClient } from '../kit/client.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { ADMIN_TOKEN, AUDIENCE, ServiceProcess, tokenFor } from '../kit/service-process.ts';

const SECRET_CANARY = Buffer.from('canary-secret-canary-secret-canary-secret');
const PASSWORD_CANARY = 'canary-password';

function rules(columns: string, bucket: string): string {
  return `bucket_definitions:
  ${bucket}:
    parameters: SELECT request.user_id() AS owner
    data:
      - SELECT ${columns} FROM notes WHERE owner = bucket.owner
`;
}

let postgres: TestPostgres;
let database: TestDatabase;
let service: ServiceProcess;

beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query('CREATE TABLE notes (id text PRIMARY KEY, owner text, body text, extra text)');
  await database.query(
    `INSERT INTO notes SELECT 'n' || n, (ARRAY['ann','ben'])[n % 2 + 1], 'body ' || n, 'extra ' || n FROM generate_series(1, 200) n`,
  );
  await database.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  await database.query(`CREATE ROLE canary LOGIN SUPERUSER PASSWORD '${PASSWORD_CANARY}'`);
  const uri = new URL(database.uri);
  uri.username = 'canary';
  uri.password = PASSWORD_CANARY;
  service = await ServiceProcess.start({
    sourceUri: String(uri),
    rules: '',
    config: {
      sync_rules: undefined,
      system: { logging: { level: 'debug' } },
      client_auth: {
        audience: [AUDIENCE],
        jwks: {
          keys: [
            { kty: 'oct', alg: 'HS256', kid: 'canary', k: SECRET_CANARY.toString('base64url') },
            {
              kty: 'oct',
              alg: 'HS256',
              kid: 'test-key',
              k: Buffer.from('a secret that only tests share, 32 bytes or more').toString('base64url'),
            },
          ],
        },
      },
    },
  });
});
afterAll(async () => {
  await service.dispose();
  await postgres.stop();
});

function operator(path: string, body?: string): Promise<Response> {
  return fetch(`${service.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Token ${ADMIN_TOKEN}`, 'content-type': 'application/yaml' },
    ...(body === undefined ? {} : { body }),
  });
}

/** Connects again and again, as clients do; every completed state is looked at. */
function follow(
  client: SyncClient,
  look: (client: SyncClient) => void,
): { stop: () => Promise<void>; connections: () => number } {
  let stopping = false;
  let connections = 0;
  const run = async () => {
    while (!stopping) {
      try {
        connections++;
        await client.connect((line) => {
          if ('checkpoint_complete' in line) look(client);
        });
      } catch (error) {
        // Before the first copy is complete, and never again.
        if (!(error instanceof HttpError) || error.code !== 'PSYNC_S2302' || client.stats.completes > 0) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const done = run();
  return {
    connections: () => connections,
    stop: async () => {
      stopping = true;
      client.disconnect();
      await done;
    },
  };
}

test('a deploy replaces rules under connected clients, with no state in between', async () => {
  const client = new SyncClient({
    endpoint: service.url,
    token: () => tokenFor({ sub: 'ann', claims: {} }),
    gzip: true,
  });
  await expect(client.connect()).rejects.toMatchObject({ status: 500, code: 'PSYNC_S2302' });
  expect((await operator('/api/sync-rules/v1/deploy', 'nonsense: [')).status).toBe(422);
  expect((await operator('/api/sync-rules/v1/deploy', rules('id, body', 'mine'))).status).toBe(200);

  const shapes = new Set<string>();
  const following = follow(client, () => {
    const columns = new Set([...client.rows('notes').values()].map((row) => Object.keys(row).join()));
    shapes.add(`${client.rows('notes').size}: ${[...columns].join(' | ')}`);
  });
  await client.until(() => client.rows('notes').size === 100);
  const connectionsBefore = following.connections();
  expect((await operator('/api/sync-rules/v1/deploy', rules('id, body, extra', 'own'))).status).toBe(200);
  await client.until(() => [...client.rows('notes').values()].some((row) => 'extra' in row));
  await following.stop();

  // Every completed checkpoint showed all rows in one shape: the old one or the new one.
  expect([...shapes]).toEqual(['100: id,body', '100: id,body,extra']);
  expect(following.connections()).toBeGreaterThan(connectionsBefore);
  expect([...client.log.buckets.keys()]).toEqual(['2#own["ann"]']);
  expect(client.stats.checksumFailures).toBe(0);
  const current = (await (await operator('/api/sync-rules/v1/current')).json()) as {
    data: { current: { content: string }; next: null };
  };
  expect(current.data).toMatchObject({ current: { content: rules('id, body, extra', 'own') }, next: null });
  await service.until('the old slot is gone', async () => {
    const slots = await database.query<{ slot_name: string }>(
      'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()',
    );
    return slots.length === 1 && (slots[0]?.slot_name.startsWith('sluice_2_') ?? false);
  });
});

test('secrets are printed nowhere', async () => {
  const token = await tokenFor({ sub: 'ann', claims: {} });
  const bodies = await Promise.all(
    [
      fetch(`${service.url}/sync/stream`, { method: 'POST', headers: { authorization: `Token ${token}x` } }),
      fetch(`${service.url}/api/status?token=${ADMIN_TOKEN}`, { headers: { authorization: `Token ${ADMIN_TOKEN}x` } }),
      operator('/api/status'),
      operator('/api/sync-rules/v1/current'),
    ].map(async (response) => (await response).text()),
  );
  const printed = [service.output, ...bodies].join('\n');
  expect(printed).toContain('Client connected');
  const secrets = [
    SECRET_CANARY.toString(),
    SECRET_CANARY.toString('base64url'),
    PASSWORD_CANARY,
    ADMIN_TOKEN,
    token,
    token.split('.')[2] as string,
  ];
  for (const secret of secrets) expect(printed.includes(secret), `${secret.slice(0, 6)}…`).toBe(false);
});
