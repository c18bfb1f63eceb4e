/**
 * A source is copied and streamed at once, from second zero, under a thousand writes a second. What five users with
 * different claims hold is compared with the source byte for byte: at the first checkpoint, at checkpoints while writes
 * go on, and five seconds after they stopped.
 *
 * How a checkpoint taken under writes can be judged exactly: every transaction of the load also sets `ticker.n`, and the
 * ticker is synced. So what a client holds says which transaction it is as of, and the source's state at that
 * transaction is found by undoing all later ones (kit/history.ts). No pause, no position, no tolerance.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { countRows, differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { ServiceProcess } from '../kit/service-process.ts';
import { sized, testSeed } from '../kit/size.ts';
import { watchSlot } from '../kit/slot-watch.ts';
import { watchCheckpoints } from '../kit/status-watch.ts';
import { type Holding, WatchingClient } from '../kit/watching-client.ts';

const ROWS = sized(100_000, 1_000_000);
const WRITES_PER_SECOND = 1000;
/** From the last write to the client that sees it last. */
const LAST_CHANGE_LIMIT_MS = 5000;
const COPY_TIMEOUT_MS = sized(240_000, 600_000);
/**
 * While others still download. Half a million rows once a second and client would fill the memory of this process, in
 * which the load runs, too: it wrote 30 transactions a second instead of 200, and the service ended clients that read
 * nothing for a minute.
 */
const EARLY_HOLD_EVERY_MS = sized(1000, 20_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
});
afterAll(() => postgres.stop());

/** Differences between what was held and what the source was at that transaction. */
async function judge(connection: Client, watching: WatchingClient, holding: Holding): Promise<readonly string[]> {
  const expected = await asOf(connection, holding.n, () => expectedRows(connection, watching.user));
  return differences(expected, holding.rows).map((line) => `${watching.user.sub} as of ${holding.n}: ${line}`);
}

test(`copy and stream side by side: ${ROWS} rows under ${WRITES_PER_SECOND} writes/s`, {
  timeout: COPY_TIMEOUT_MS + 240_000,
}, async () => {
  const db = await postgres.createDatabase();
  const connection = await db.connect();
  await createSchema(connection);
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const slot = await watchSlot(db.uri);
  const load = await startLoad({
    uri: db.uri,
    population,
    writesPerSecond: WRITES_PER_SECOND,
    seed: testSeed,
  });
  const service = await ServiceProcess.start({ sourceUri: db.uri, rules: RULES });
  const status = watchCheckpoints(service);
  const clients = TEST_USERS.map((user, index) =>
    WatchingClient.start(service, user, { format: index % 2 === 0 ? 'bson' : 'ndjson', gzip: index % 2 === 1 }),
  );
  try {
    await service.until('the copy is complete', () => status.openedAtMs !== null, COPY_TIMEOUT_MS);
    for (const client of clients) client.holdEveryMs = EARLY_HOLD_EVERY_MS;
    await service.until(
      'all users hold a checkpoint',
      () => clients.every((client) => client.failure !== null || client.holdings.length > 0),
      COPY_TIMEOUT_MS,
    );
    // Some more checkpoints under writes.
    for (const client of clients) client.holdEveryMs = 1000;
    await sleep(4000);
    const report = await load.stop();
    await Promise.all(clients.map((client) => client.reach(load.committed, LAST_CHANGE_LIMIT_MS)));
    for (const client of clients) {
      expect(client.failure).toBeNull();
      client.hold();
    }
    await status.stop();
    await slot.stop();

    // Every checkpoint that was kept: the first, some under writes, and the last.
    for (const client of clients) {
      for (const holding of client.holdings) expect(await judge(connection, client, holding)).toEqual([]);
      const now = await asOf(connection, null, () => expectedRows(connection, client.user));
      const last = client.holdings.at(-1);
      expect(last === undefined ? ['nothing'] : differences(now, last.rows)).toEqual([]);
      expect(client.holdings.length).toBeGreaterThan(2);
      expect(client.client.stats.checksumFailures).toBe(0);
    }
    expect(countRows(clients[0]?.holdings[0]?.rows ?? new Map())).toBeGreaterThan(ROWS / 1000);

    // No checkpoint before the gate was opened, to nobody.
    expect(status.violations).toEqual([]);
    for (const client of clients) {
      expect(client.firstLineAtMs).toBeGreaterThan(status.lastClosedAtMs ?? Number.POSITIVE_INFINITY);
    }

    // Acknowledgement went on all through the copy.
    const standstill = slot.longestStandstillMs(status.startedAtMs ?? 0, status.openedAtMs ?? 0);
    // The small size also runs on machines that do much else at the same time.
    expect(standstill).toBeLessThan(sized(4000, 2000));
    expect(report.writesPerSecond).toBeGreaterThan(WRITES_PER_SECOND * sized(0.5, 0.95));
    console.log(
      JSON.stringify({
        rows: ROWS,
        copySeconds: ((status.openedAtMs ?? 0) - (status.startedAtMs ?? 0)) / 1000,
        longestAckStandstillMs: Math.round(standstill),
        load: report,
        checkpointsJudged: clients.map((client) => client.holdings.length),
        checkpointsSeen: clients.map((client) => client.ticks.length),
      }),
    );
  } finally {
    await Promise.allSettled([load.stop(), status.stop(), slot.stop(), ...clients.map((client) => client.stop())]);
    await service.dispose();
    await connection.end();
  }
});
