/**
 * Copy and stream interleaved by a seed: every delivery of the real source waits at a gate, and chance decides whether
 * the next step is a transaction of the load, a batch of the stream, a chunk of the copy (read long ago, perhaps), a
 * rewrite or truncation of a table, or a restart. Whatever the order, each checkpoint must equal the source at the
 * transaction that its ticker names, and the last one the source at its end.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asSluiceError, silentLogger, systemClock, systemRandom } from '@sluice/core';
import { Replicator } from '@sluice/replication';
import { createPostgresSource } from '@sluice/source-postgres';
import type { BucketStorage, StreamInfo } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { parseSyncRules, type SyncRules } from '@sluice/sync-rules';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeliveryGate, holdSource, type SourceGates } from '../kit/held-source.ts';
import { asOf, recordHistory } from '../kit/history.ts';
import { LoadWriter, transactionSql } from '../kit/load-writer.ts';
import { differences, expectedRows } from '../kit/oracle.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../kit/postgres.ts';
import { RULES, TEST_USERS, type TestUser } from '../kit/rules.ts';
import { createSchema, seedRows } from '../kit/schema.ts';
import { type SeededRandom, seededRandom } from '../kit/seeded-random.ts';
import { sized, testSeed } from '../kit/size.ts';
import { storedRows } from '../kit/stored-rows.ts';
import { tickOf } from '../kit/held-rows.ts';

const SEEDS = Number(process.env['SLUICE_TEST_SEEDS'] ?? sized(6, 100));
const STEPS = 120;
const ROWS = 700;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test.each(Array.from({ length: SEEDS }, (_, index) => testSeed + index))(
  'interleaving of seed %i',
  { timeout: 120_000 },
  async (seed) => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-interleaving-'));
    const db = await postgres.createDatabase();
    const run = await Interleaving.start(db, directory, seed);
    try {
      for (let step = 0; step < STEPS; step++) await run.step();
      await run.finish();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}\nsteps: ${run.steps.join(' ')}`, { cause: error });
    } finally {
      await run.dispose();
      await rm(directory, { recursive: true, force: true });
    }
  },
);

class Interleaving {
  readonly steps: string[] = [];
  readonly #db: TestDatabase;
  readonly #connection: Client;
  readonly #storage: BucketStorage;
  readonly #stream: StreamInfo;
  readonly #rules: SyncRules;
  readonly #random: SeededRandom;
  readonly #writer: LoadWriter;
  readonly #ticks = new Map<TestUser, bigint>();
  #gates: SourceGates = closedGates();
  #stop = new AbortController();
  #ended: Promise<Error | null> = Promise.resolve(null);
  #transactions = 0;

  private constructor(
    parts: { db: TestDatabase; connection: Client; storage: BucketStorage; stream: StreamInfo; rules: SyncRules },
    writer: LoadWriter,
    random: SeededRandom,
  ) {
    this.#db = parts.db;
    this.#connection = parts.connection;
    this.#storage = parts.storage;
    this.#stream = parts.stream;
    this.#rules = parts.rules;
    this.#writer = writer;
    this.#random = random;
  }

  static async start(db: TestDatabase, directory: string, seed: number): Promise<Interleaving> {
    const connection = await db.connect();
    await connection.query("SET timezone = 'UTC'");
    await createSchema(connection);
    const population = await seedRows(connection, { rows: ROWS });
    await recordHistory(connection);
    const { rules } = parseSyncRules(RULES, { defaultSchema: 'public' });
    if (rules === null) throw new Error('the rules do not parse');
    const storage = await openLmdbStorage({ path: directory, clock: systemClock, logger: silentLogger });
    const stream = await storage.createStream(RULES, 0);
    const parts = { db, connection, storage, stream, rules };
    const run = new Interleaving(parts, new LoadWriter(population, seed), seededRandom(seed));
    run.#replicate();
    return run;
  }

  #replicate(): void {
    this.#gates = closedGates();
    this.#stop = new AbortController();
    this.#ended = this.#attempt(this.#gates, this.#stop.signal);
  }

  /** @returns what ended the attempt, null if we did */
  async #attempt(gates: SourceGates, signal: AbortSignal): Promise<Error | null> {
    const stream = (await this.#storage.listStreams()).find(({ id }) => id === this.#stream.id) ?? this.#stream;
    const inner = createPostgresSource(
      { uri: this.#db.uri, sslmode: 'disable', slotName: `s_${this.#db.name}`, heartbeatIntervalMs: 200 },
      { clock: systemClock, random: systemRandom, logger: silentLogger },
    );
    const source = holdSource(inner, gates);
    const replicator = new Replicator({
      stream,
      rules: this.#rules,
      storage: this.#storage,
      source,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      owner: randomUUID(),
      concurrency: 3,
    });
    try {
      return await replicator.run(signal);
    } catch (error) {
      return signal.aborted ? null : (error as Error);
    } finally {
      await source.close();
    }
  }

  async step(): Promise<void> {
    const kind = this.#random.int(100);
    if (kind < 35) await this.#write();
    else if (kind < 60) this.#let('stream');
    else if (kind < 85) this.#let('chunk');
    else if (kind < 88) await this.#rewrite();
    else if (kind < 90) await this.#truncate();
    else if (kind < 93) await this.#restart();
    else await this.#check(this.#random.pick(TEST_USERS));
    await sleep(this.#random.int(8));
  }

  async #write(): Promise<void> {
    this.steps.push('write');
    await this.#commit(this.#writer.transaction());
  }

  async #commit(transaction: ReturnType<LoadWriter['transaction']>): Promise<void> {
    const number = this.#transactions + 1;
    await this.#connection.query(transactionSql(transaction, number));
    if (!transaction.rollback) this.#transactions = number;
  }

  #let(what: 'stream' | 'chunk'): void {
    const gate = what === 'stream' ? this.#gates.stream : this.#gates.chunks;
    this.steps.push(gate.waiting > 0 ? what : `(${what})`);
    gate.letOne();
  }

  /** All block ranges mean other rows from now on. */
  async #rewrite(): Promise<void> {
    const table = this.#random.pick(['notes', 'tasks', 'documents'] as const);
    this.steps.push(`rewrite ${table}`);
    await this.#connection.query(`VACUUM FULL ${table}`);
  }

  async #truncate(): Promise<void> {
    const table = this.#random.pick(['readings', 'settings'] as const);
    this.steps.push(`truncate ${table}`);
    await this.#commit(this.#writer.truncation(table));
  }

  async #restart(): Promise<void> {
    this.steps.push('restart');
    this.#stop.abort(new Error('restart'));
    this.#judge(await this.#ended);
    this.#replicate();
  }

  /** A failed attempt is what the supervisor is for, if it may be retried. */
  #judge(ended: Error | null): void {
    if (ended !== null && asSluiceError(ended).action !== 'retry') throw ended;
    if (ended !== null && asSluiceError(ended).code === 'SLU_X0002') throw ended;
  }

  async #check(user: TestUser): Promise<void> {
    const stored = await storedRows(this.#storage.reader(this.#stream.id), this.#rules, user);
    if (stored === null) {
      this.steps.push('check -');
      return;
    }
    const n = tickOf(stored.rows);
    if (n === null) throw new Error('a checkpoint without the ticker');
    this.steps.push(`check ${n}`);
    if (n < (this.#ticks.get(user) ?? 0n)) throw new Error(`went back to ${n}`);
    this.#ticks.set(user, n);
    const expected = await asOf(this.#connection, n, () => expectedRows(this.#connection, user));
    expect(differences(expected, stored.rows), `${user.sub} as of ${n} of ${this.#transactions}`).toEqual([]);
  }

  /** Opens all gates, and expects everything. */
  async finish(): Promise<void> {
    const deadline = performance.now() + 30_000;
    for (;;) {
      this.#gates.stream.open();
      this.#gates.chunks.open();
      const stored = await storedRows(this.#storage.reader(this.#stream.id), this.#rules, TEST_USERS[0] as TestUser);
      if (stored !== null && tickOf(stored.rows) === BigInt(this.#transactions)) break;
      const ended = await Promise.race([this.#ended.then((error) => ({ error })), sleep(50)]);
      if (ended !== undefined) {
        this.#judge(ended.error);
        this.#replicate();
      }
      if (performance.now() > deadline) {
        const state = await this.#storage.reader(this.#stream.id).checkpointState();
        throw new Error(`no checkpoint at ${this.#transactions} after 30 s: ${JSON.stringify(state)}`);
      }
    }
    for (const user of TEST_USERS) await this.#check(user);
    for (const user of TEST_USERS) expect(this.#ticks.get(user)).toBe(BigInt(this.#transactions));
  }

  async dispose(): Promise<void> {
    this.#stop.abort(new Error('over'));
    await this.#ended;
    await this.#storage.close();
    await this.#connection.end();
  }
}

function closedGates(): SourceGates {
  return { stream: new DeliveryGate(), chunks: new DeliveryGate(), chunkBytes: 4000 };
}
