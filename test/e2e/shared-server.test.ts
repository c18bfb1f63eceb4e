/** Source and storage in one database: what storage writes must not set itself in motion. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SyncClient } from '../kit/client.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { ServiceProcess, tokenFor } from '../kit/service-process.ts';

const RULES = `bucket_definitions:
  all:
    data:
      - SELECT * FROM items
`;
const IDLE_MS = 8_000;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test.each(['FOR TABLE items', 'FOR ALL TABLES'])(
  'an idle service is idle: publication %s',
  async (tables) => {
    const db = await postgres.createDatabase();
    await db.query(`create table items (id text primary key, n int); insert into items values ('a', 1);
    create publication powersync ${tables}`);
    const storage = { type: 'postgresql', uri: db.uri, sslmode: 'disable' };
    const service = await ServiceProcess.start({ sourceUri: db.uri, rules: RULES, config: { storage } });
    try {
      await service.until('ready', async () => (await service.probe('readiness')) === 200, 60_000);
      const client = new SyncClient({ endpoint: service.url, token: () => tokenFor({ sub: 'ann', claims: {} }) });
      const written = async () => {
        const [state] = await db.query<{ seq: string }>(
          'select seq from sluice.stream_states order by id desc limit 1',
        );
        return Number(state?.seq);
      };
      await sleep(1_000);
      const before = await written();
      await sleep(IDLE_MS);
      // The spacing grows to one in two seconds; a loop would make hundreds.
      expect((await written()) - before).toBeLessThan(20);
      await db.query("insert into items values ('b', 2)");
      await client.sync((held) => held.rows('items').size === 2);
    } finally {
      await service.dispose();
    }
  },
  120_000,
);
