/**
 * One real database, the real replicator and in-memory storage, with gates between them: a test decides what the stream
 * brings before which chunk of the copy arrives. Tables whose names begin with `t` are replicated whole; each has a
 * column `id`. However the parts were interleaved, the newest checkpoint must come to equal the database.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asSluiceError, type Position, silentLogger, systemClock, systemRandom } from '@sluice/core';
import { Replicator } from '@sluice/replication';
import { createPostgresSource } from '@sluice/source-postgres';
import { createMemoryStorage, type MemoryStorage, type StreamInfo, type TableState } from '@sluice/storage';
import { parseSyncRules, type SyncRules } from '@sluice/sync-rules';
import { expect } from 'vitest';
import { DeliveryGate, holdSource, type SourceGates } from '../kit/held-source.ts';
import type { TestDatabase, TestPostgres } from '../kit/postgres.ts';
import { storedRows } from '../kit/stored-rows.ts';

const RULES = `bucket_definitions:
  everything:
    data:
      - SELECT * FROM "t%"
`;
const USER = { sub: 'anyone', claims: {} };
/** Far beyond what anything here takes on a busy machine. */
const PATIENCE_MS = 40_000;

type Row = Readonly<Record<string, unknown>>;
type View = (row: Row) => Row;
/** Table → id → the row. */
type Contents = Readonly<Record<string, Readonly<Record<string, Row>>>>;

export class RaceWorld {
  readonly db: TestDatabase;
  readonly gates: SourceGates = { stream: new DeliveryGate(true), chunks: new DeliveryGate(true), chunkBytes: 2000 };
  readonly #rules: SyncRules;
  #storage: MemoryStorage;
  #stream: StreamInfo;
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  /** Who replicates; by default the owner of everything. */
  role: { readonly username: string; readonly password: string } | null = null;
  /** What the supervisor would have tried again after. */
  #retried: string | null = null;

  private constructor(db: TestDatabase, rules: SyncRules, storage: MemoryStorage, stream: StreamInfo) {
    this.db = db;
    this.#rules = rules;
    this.#storage = storage;
    this.#stream = stream;
  }

  static async open(postgres: TestPostgres, ...setup: readonly string[]): Promise<RaceWorld> {
    const db = await postgres.createDatabase();
    for (const sql of setup) await db.query(sql);
    const { rules } = parseSyncRules(RULES, { defaultSchema: 'public' });
    if (rules === null) throw new Error('the rules do not parse');
    const storage = createMemoryStorage();
    return new RaceWorld(db, rules, storage, await storage.createStream(RULES, 0));
  }

  /** Plays a race, and cleans up. Replication is not started yet. */
  static async play(
    postgres: TestPostgres,
    setup: readonly string[],
    race: (world: RaceWorld) => Promise<void>,
  ): Promise<void> {
    const world = await RaceWorld.open(postgres, ...setup);
    try {
      await race(world);
    } finally {
      await world.stop();
    }
  }

  get reader() {
    return this.#storage.reader(this.#stream.id);
  }

  run(...statements: readonly string[]): Promise<void> {
    return statements.reduce<Promise<void>>(async (before, sql) => {
      await before;
      await this.db.query(sql);
    }, Promise.resolve());
  }

  start(): void {
    this.#stop = new AbortController();
    this.#ended = this.#attempts(this.#stop.signal);
    this.#ended.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await this.#ended;
  }

  /** The process dies, and another one goes on from what is stored. */
  async restart(): Promise<void> {
    await this.stop();
    this.#storage = this.#storage.afterCrash();
    this.start();
  }

  async #attempts(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const failure = await this.#attempt(signal);
      if (failure === null) return;
      if (asSluiceError(failure).action !== 'retry') throw failure;
      if (asSluiceError(failure).code.startsWith('SLU_X')) throw failure;
      this.#retried = asSluiceError(failure).describe();
      await sleep(100);
    }
  }

  async #attempt(signal: AbortSignal): Promise<unknown> {
    const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const inner = createPostgresSource(
      { uri: this.db.uri, ...this.role, sslmode: 'disable', slotName: `s_${this.db.name}`, heartbeatIntervalMs: 200 },
      tools,
    );
    const source = holdSource(inner, this.gates);
    const storage = this.#storage;
    const ports = { stream: this.#stream, rules: this.#rules, storage, source, owner: 'race', concurrency: 2 };
    try {
      return await new Replicator({ ...ports, ...tools }).run(signal);
    } catch (error) {
      return signal.aborted ? null : error;
    } finally {
      await source.close();
    }
  }

  /** Fails at once if replication has failed for good. */
  async until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
      if (performance.now() > deadline)
        throw new Error(`not reached: ${what}; last failure: ${this.#retried ?? 'none'}`);
      await Promise.race([sleep(20), this.#ended]);
    }
  }

  /** A chunk has been read from the database, and waits to be delivered. */
  chunkWaits(): Promise<void> {
    return this.until('a chunk was read', () => this.gates.chunks.waiting > 0);
  }

  async tables(): Promise<readonly TableState[]> {
    return this.reader.tables();
  }

  async table(name: string): Promise<TableState | undefined> {
    return (await this.tables()).find(({ relation }) => relation.name === name);
  }

  /** What clients hold at the newest checkpoint; null while there is none. */
  async shown(): Promise<Contents | null> {
    const stored = await storedRows(this.reader, this.#rules, USER);
    if (stored === null) return null;
    return Object.fromEntries(
      [...stored.rows].map(([table, rows]) => [
        table,
        Object.fromEntries([...rows].map(([id, json]) => [id, JSON.parse(json) as Row])),
      ]),
    );
  }

  /** The published tables of the rules, as the database has them now. Row filters are the caller's business. */
  async actual(): Promise<Contents> {
    const names = await this.db.query<{ tablename: string; rowfilter: string | null }>(
      `SELECT * FROM pg_publication_tables WHERE pubname = 'powersync' AND tablename LIKE 't%'`,
    );
    const contents: Record<string, Record<string, Row>> = {};
    for (const { tablename, rowfilter } of names) {
      const rows = await this.db.query<{ id: string; row: Row }>(
        `SELECT id, to_jsonb(t) AS row FROM ${tablename} AS t WHERE ${rowfilter ?? 'true'}`,
      );
      if (rows.length > 0) contents[tablename] = Object.fromEntries(rows.map(({ id, row }) => [id, row]));
    }
    return contents;
  }

  /** A position behind everything that was committed by now. */
  async head(): Promise<Position> {
    const [row] = await this.db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    return (row?.lsn ?? '')
      .split('/')
      .map((half) => half.padStart(8, '0'))
      .join('');
  }

  /** Everything that was committed by now is durable in storage, visible or not. */
  async streamed(): Promise<void> {
    const head = await this.head();
    await this.db.query(`SELECT pg_logical_emit_message(true, 'race', '')`);
    await this.until('the stream has passed', () => this.hasPassed(head));
  }

  /** What was committed before the position is acknowledged. */
  async hasPassed(position: Position): Promise<boolean> {
    const lsn = `${position.slice(0, 8)}/${position.slice(8)}`;
    const behind = `SELECT confirmed_flush_lsn >= $1::pg_lsn AS passed FROM pg_replication_slots WHERE database = $2`;
    const [slot] = await this.db.query<{ passed: boolean }>(behind, [lsn, this.db.name]);
    return slot?.passed === true;
  }

  /**
   * Lets everything through, and expects the newest checkpoint to come to equal the database.
   * @param view what of a row is compared; by default all of it
   */
  async converges(view: View = (row) => row): Promise<void> {
    this.gates.stream.open();
    this.gates.chunks.open();
    const expected = await this.actual();
    const compare = async () => differences(expected, await this.shown(), view);
    const equal = async () => (await compare()).length === 0;
    await this.until('the checkpoint equals the database', equal).catch(async (error: unknown) => {
      expect([...(await compare()), (error as Error).message]).toEqual([]);
      throw error;
    });
  }
}

/** In short lines; rows may be large. */
function differences(expected: Contents, shown: Contents | null, view: View): readonly string[] {
  if (shown === null) return ['there is no checkpoint'];
  const rowsOf = (contents: Contents) =>
    new Map(
      Object.entries(contents).flatMap(([table, rows]) =>
        Object.entries(rows).map(([id, row]) => [`${table} ${id}`, JSON.stringify(sorted(view(row)))] as const),
      ),
    );
  const wanted = rowsOf(expected);
  const held = rowsOf(shown);
  return [...new Set([...wanted.keys(), ...held.keys()])]
    .filter((row) => wanted.get(row) !== held.get(row))
    .map((row) => `${row}: ${wanted.get(row)?.slice(0, 100)}, shown ${held.get(row)?.slice(0, 100)}`);
}

function sorted(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
