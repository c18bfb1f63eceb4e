/**
 * The replicator, an API process and the storage server are killed in turn, under load, with twenty clients connected:
 * no client is ever told a state that the source did not have, none goes back, and whoever wrote something finds it at
 * its write checkpoint.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SyncClient } from '../kit/client.ts';
import { auditWrites, Cluster, reigns } from '../kit/cluster.ts';
import { asOf, recordHistory } from '../kit/history.ts';
import { startLoad } from '../kit/load.ts';
import { differences, expectedRows, type Rows } from '../kit/oracle.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { sized, testSeed } from '../kit/size.ts';
import { WatchingClient } from '../kit/watching-client.ts';

const KILLS = sized(3, 60);
const KILL_EVERY_MS = sized(5_000, 10_000);
const ROWS = sized(2_000, 20_000);
const WRITES_PER_SECOND = sized(100, 500);
const CLIENTS = 20;
const WRITERS = 5;
const PATIENCE_MS = 120_000;

/** In the bucket of each user, outside of what the oracle compares. */
const OWN_WRITES = '      - SELECT * FROM own_writes WHERE owner_id = bucket.user_id\n';
const CHAOS_RULES = RULES.replace('  org:\n', `${OWN_WRITES}  org:\n`);

let source: TestPostgres;
let server: TestPostgres;
beforeAll(async () => {
  source = await startPostgres({ settings: { shared_buffers: '256MB' } });
  server = await startPostgres({ durable: true });
});
afterAll(async () => {
  await server.stop();
  await source.stop();
});

/** Writes to the source, asks for a write checkpoint, and looks whether the row is there when that is told. */
class OwnWrites {
  seen = 0;
  /** Rows that were not there at their write checkpoint. */
  readonly missing: string[] = [];
  readonly #watching: WatchingClient;
  #pending: { readonly id: bigint; readonly row: string }[] = [];
  #newestOpId = 0n;

  constructor(watching: WatchingClient) {
    this.#watching = watching;
    watching.onComplete = (client) => this.#look(client);
  }

  get waiting(): number {
    return this.#pending.length;
  }

  async write(database: TestDatabase): Promise<void> {
    const row = randomUUID();
    await database.query('INSERT INTO own_writes VALUES ($1, $2)', [row, this.#watching.user.sub]);
    const id = await this.#watching.client.writeCheckpoint();
    this.#pending.push({ id, row });
  }

  #look(client: SyncClient): void {
    if (client.appliedOpId < this.#newestOpId) throw new Error(`a checkpoint went back from ${this.#newestOpId}`);
    this.#newestOpId = client.appliedOpId;
    const told = this.#pending.filter(({ id }) => id <= (client.appliedWriteCheckpoint ?? 0n));
    for (const { row } of told) if (!client.rows('own_writes').has(row)) this.missing.push(row);
    this.seen += told.length;
    this.#pending = this.#pending.filter((pending) => !told.includes(pending));
  }
}

function withoutOwnWrites(rows: Rows): Rows {
  return new Map([...rows].filter(([type]) => type !== 'own_writes'));
}

test(`${KILLS} kills of replicator, API process and storage server (seed ${testSeed})`, {
  timeout: KILLS * KILL_EVERY_MS * 2 + 900_000,
}, async () => {
  const [database, storage] = [await source.createDatabase(), await server.createDatabase()];
  const connection = await database.connect();
  await createSchema(connection);
  await connection.query('CREATE TABLE own_writes (id text PRIMARY KEY, owner_id text)');
  await connection.query('ALTER PUBLICATION powersync ADD TABLE own_writes');
  const population = await seedRows(connection, { rows: ROWS });
  await recordHistory(connection);
  const cluster = await Cluster.start({ sourceUri: database.uri, rules: CHAOS_RULES, storage, leaseSeconds: 3 });
  await auditWrites(storage);
  const load = await startLoad({ uri: database.uri, population, writesPerSecond: WRITES_PER_SECOND, seed: testSeed });
  const clients = Array.from({ length: CLIENTS }, (_, index) => {
    const user = TEST_USERS[index % TEST_USERS.length] as (typeof TEST_USERS)[number];
    const watching = WatchingClient.start(cluster.door, user, { clientId: `c${index}` });
    watching.holdEveryMs = index < TEST_USERS.length ? sized(5_000, 60_000) : Number.POSITIVE_INFINITY;
    return watching;
  });
  const writers = clients.slice(0, WRITERS).map((client) => new OwnWrites(client));
  let writing = true;
  try {
    for (const client of clients) await client.reach(load.committed, PATIENCE_MS);
    const ownWrites = writers.map(async (writer) => {
      while (writing) {
        // While the process that answers is dead, or storage is, an app tries again.
        await writer.write(database).catch(() => undefined);
        await sleep(1_000);
      }
    });
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(KILL_EVERY_MS);
      if (kill % 3 === 0) await ((await cluster.leader()) ?? cluster.replicators[0])?.kill();
      else if (kill % 3 === 1) await cluster.servers[Math.floor(kill / 3) % cluster.servers.length]?.kill();
      else await server.restart('immediate');
    }
    await sleep(KILL_EVERY_MS);
    writing = false;
    await Promise.all(ownWrites);
    await load.stop();
    for (const client of clients) await client.reach(load.committed, PATIENCE_MS);
    await expect
      .poll(() => writers.map(({ waiting }) => waiting), { timeout: PATIENCE_MS })
      .toEqual(writers.map(() => 0));

    const wanted = new Map<string, Rows>();
    for (const user of TEST_USERS) {
      wanted.set(user.sub, await asOf(connection, null, () => expectedRows(connection, user)));
    }
    for (const client of clients) {
      const { rows } = client.hold();
      expect(differences(wanted.get(client.user.sub) ?? new Map(), withoutOwnWrites(rows)), client.user.sub).toEqual(
        [],
      );
      expect(client.client.stats.checksumFailures).toBe(0);
      for (const holding of client.holdings.slice(1, -1)) {
        const then = await asOf(connection, holding.n, () => expectedRows(connection, client.user));
        expect(differences(then, withoutOwnWrites(holding.rows)), `${client.user.sub} as of ${holding.n}`).toEqual([]);
      }
    }
    expect(writers.map(({ missing }) => missing)).toEqual(writers.map(() => []));
    const seen = writers.reduce((sum, writer) => sum + writer.seen, 0);
    expect(seen).toBeGreaterThan(KILLS);
    const held = await reigns(storage);
    // Each kill of a leader, and of the storage server under it, may have made a new one.
    expect(held.length).toBeGreaterThan(1);
    console.log(JSON.stringify({ kills: KILLS, ownWrites: seen, reigns: held, load: load.report() }));
    for (const client of clients) await client.stop();
  } catch (error) {
    console.error(cluster.output);
    throw error;
  } finally {
    writing = false;
    await load.stop().catch(() => {});
    for (const client of clients) await client.stop().catch(() => {});
    await cluster.stop();
    await connection.end();
  }
});
