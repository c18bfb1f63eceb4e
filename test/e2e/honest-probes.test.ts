/**
 * Never green while stuck: when the way to the source falls silent, without any error, readiness ends within 30 s, though
 * the process lives and clients keep what they have; when it heals, readiness comes back, and nothing was lost.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SyncClient } from '../kit/client.ts';
import { FaultProxy } from '../kit/fault-proxy.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';

const RULES = `bucket_definitions:
  everyone:
    data:
      - SELECT * FROM notes
`;

let postgres: TestPostgres;
let database: TestDatabase;
let proxy: FaultProxy;
let service: ServiceProcess;

beforeAll(async () => {
  postgres = await startPostgres();
  database = await postgres.createDatabase();
  await database.query('CREATE TABLE notes (id text PRIMARY KEY, body text)');
  await database.query(`INSERT INTO notes VALUES ('1', 'first')`);
  await database.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  proxy = await FaultProxy.start({ host: '127.0.0.1', port: postgres.port });
  service = await ServiceProcess.start({
    sourceUri: database.uri.replace(`:${postgres.port}/`, `:${proxy.port}/`),
    rules: RULES,
  });
  await service.until('ready', async () => (await service.probe('readiness')) === 200);
});
afterAll(async () => {
  await service.dispose();
  await proxy.stop();
  await postgres.stop();
});

test('a source that falls silent ends readiness within 30 s, and nothing is lost when it speaks again', async () => {
  const client = new SyncClient({ endpoint: service.url, token: await tokenFor({ sub: 'ann', claims: {} }) });
  const connection = client.connect();
  await client.until(() => client.stats.completes > 0);

  proxy.silence();
  await database.query(`INSERT INTO notes VALUES ('2', 'unheard')`);
  const silentAt = performance.now();
  await service.until('not ready', async () => (await service.probe('readiness')) === 400, 35_000);
  expect(performance.now() - silentAt).toBeLessThan(30_000);
  expect(await service.probe('liveness')).toBe(200);
  expect(await service.probe('startup')).toBe(200);
  expect(client.rows('notes').size).toBe(1);
  const status = (await service.status()) as { service: { ready: boolean; reason: string } };
  expect(status.service).toMatchObject({ ready: false, reason: expect.stringContaining('no progress') });

  proxy.heal();
  await service.until('ready again', async () => (await service.probe('readiness')) === 200, 60_000);
  await client.until(() => client.rows('notes').get('2')?.['body'] === 'unheard');

  // A loud break is healed without anybody noticing.
  proxy.cut();
  await database.query(`INSERT INTO notes VALUES ('3', 'after the cut')`);
  await client.until(() => client.rows('notes').has('3'));
  expect(await service.probe('readiness')).toBe(200);
  expect(client.stats.checksumFailures).toBe(0);
  client.disconnect();
  await connection;
}, 150_000);
