/**
 * One run of the crash tests: a copy under load, killed at one failpoint after another and started again on the same
 * storage, watched by clients from its first second to its end, and judged by the source.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect } from 'vitest';
import { type BlockRead, blockReads } from './block-reads.ts';
import { SyncClient } from './client.ts';
import { CrashCopier } from './crash-copier.ts';
import { type CrashStorage, crashStorage, type StorageKind } from './crash-storage.ts';
import { type PlannedKill, possibleKill, REPLACING, STIMULI } from './crash-plan.ts';
import { heldRows } from './held-rows.ts';
import { asOf } from './history.ts';
import { type Load, startLoad } from './load.ts';
import { OpRegister } from './op-register.ts';
import { differences, expectedRows } from './oracle.ts';
import type { TestPostgres } from './postgres.ts';
import { type RecordingProxy, startProxy } from './recording-proxy.ts';
import { RULES, TEST_USERS } from './rules.ts';
import type { Population } from './schema.ts';
import { ServiceProcess, tokenFor } from './service-process.ts';
import { copyStatus } from './status-watch.ts';
import {
  inFlightBytes,
  IN_FLIGHT_BYTES_MAX,
  nothingStored,
  READ_BY_BLOCKS,
  readAgain,
  readStoredCopy,
  type StoredCopy,
} from './stored-copy.ts';
import { WatchingClient } from './watching-client.ts';

const WRITES_PER_SECOND = 300;
/** A point that is not reached so long after all was copied will not be reached. */
const PATIENCE_MS = 4000;
const COPY_LIMIT_MS = 120_000;
const WATCHERS = [TEST_USERS[0], TEST_USERS[2]].filter((user) => user !== undefined);
/** Says the same as `RULES`, in other words. */
const OTHER_RULES = RULES.replace('SELECT * FROM ticker', 'SELECT id, n FROM ticker');
export interface CrashWorld {
  readonly postgres: TestPostgres;
  /** Filled, with history; cloned for each run. */
  readonly template: string;
  readonly population: Population;
}

export interface CrashReport {
  /** As `point:time`; with `missed` if the run had to be killed by hand because it did not come there. */
  readonly kills: readonly string[];
  /** Of the process that only copies. */
  readonly copierKills: readonly string[];
  readonly ops: number;
  readonly opsSentAgain: number;
  readonly transactions: number;
  /** The most bytes of one task that were read and not stored when the process died. */
  readonly inFlightBytes: number;
  readonly holdings: number;
}

export interface CrashOrder {
  readonly kills: readonly PlannedKill[];
  readonly seed: number;
  readonly storage: StorageKind;
  /** Whether a second process copies, too. */
  readonly copier: boolean;
}

/** Alone, so fast, it would take five seconds: there is something left to copy for another one. */
const SLOW = { concurrency: 1, max_rows_per_second: 4_000 };

export async function crashRun(world: CrashWorld, order: CrashOrder): Promise<CrashReport> {
  const { kills, seed, storage: kind } = order;
  const database = await world.postgres.createDatabase(undefined, { template: world.template });
  const source = await database.connect();
  const proxy = await startProxy({ host: '127.0.0.1', port: world.postgres.port });
  const sourceUri = database.uri.replace(`:${world.postgres.port}/`, `:${proxy.port}/`);
  const { population } = world;
  const load = await startLoad({ uri: database.uri, population, writesPerSecond: WRITES_PER_SECOND, seed });
  const storage = await crashStorage(kind, world.postgres);
  const kept = storage.config === null ? {} : { storage: storage.config };
  const options = { sourceUri, rules: RULES };
  const snapshot = { ...READ_BY_BLOCKS.snapshot, ...(order.copier ? SLOW : {}) };
  const service = await ServiceProcess.prepare({ ...options, config: { snapshot, ...kept } });
  const beside = { ...options, config: { ...READ_BY_BLOCKS, storage: service.storage, ...kept } };
  const copier = order.copier ? await CrashCopier.prepare(beside, seed) : null;
  const run = new CrashRun({ source, proxy, load, service, copier, storage });
  try {
    for (const kill of kills) await run.dieAt(kill);
    await run.finish();
    return run.report();
  } finally {
    await run.end();
    await dropDatabase(world.postgres, database.name);
    if (storage.database !== null) await dropDatabase(world.postgres, storage.database);
  }
}

interface Surroundings {
  readonly source: pg.Client;
  readonly proxy: RecordingProxy;
  readonly load: Load;
  readonly service: ServiceProcess;
  readonly copier: CrashCopier | null;
  readonly storage: CrashStorage;
}

class CrashRun {
  readonly #around: Surroundings;
  readonly #register = new OpRegister();
  readonly #clients: readonly WatchingClient[];
  readonly #kills: string[] = [];
  #stored: StoredCopy = nothingStored;
  /** Reads of the source that were asked for before the newest crash. */
  #asked = 0;
  #inFlightBytes = 0;
  #rowsOf: ReadonlyMap<string, number> = new Map();

  constructor(around: Surroundings) {
    this.#around = around;
    this.#clients = WATCHERS.map((user) => WatchingClient.start(around.service, user, { register: this.#register }));
  }

  async dieAt(kill: PlannedKill): Promise<void> {
    const { service, copier } = this.#around;
    const copied = this.#stored.tables.length > 0 && this.#stored.tables.every((table) => table.snapshot === 'done');
    const { point, time } = possibleKill(kill, copied);
    if (REPLACING.includes(point)) await this.#replaceVersion();
    service.failpoint = `${point}:${time}`;
    service.spawn();
    copier?.begin();
    STIMULI[point]?.(this.#around);
    const writing = point === 'write-checkpoint.stored' ? askForWriteCheckpoints(service) : null;
    await this.#untilDeadOrIdle(point);
    const died = !service.running;
    await service.kill();
    await writing;
    // Nothing else may have ended it: an error of its own is a finding.
    expect((await service.exit).signal, service.output.slice(-3000)).toBe('SIGKILL');
    await copier?.end();
    this.#kills.push(died ? service.failpoint : `${service.failpoint} missed`);
    await this.#judgeStorage();
  }

  /** The first version serves, and is killed; the next start finds other rules in its configuration. */
  async #replaceVersion(): Promise<void> {
    const { service } = this.#around;
    service.failpoint = null;
    await service.start();
    await service.until('the first version is active', () => this.#copied(), COPY_LIMIT_MS);
    await service.kill();
    await this.#judgeStorage();
    await service.replaceRules(OTHER_RULES);
  }

  async #untilDeadOrIdle(point: string): Promise<void> {
    const { service, proxy } = this.#around;
    const deadline = performance.now() + COPY_LIMIT_MS;
    let idleSince: number | null = null;
    let first = true;
    while (service.running) {
      const status = await copyStatus(service);
      if (status !== null) {
        if (first) this.#judgeProgress(status.rowsOf);
        first = false;
        this.#rowsOf = status.rowsOf;
      }
      if (status?.streaming === true && status.versions === 1) idleSince ??= performance.now();
      if (idleSince !== null && performance.now() - idleSince > PATIENCE_MS) return;
      if (performance.now() > deadline) throw new Error(`neither dead nor done: ${service.output.slice(-3000)}`);
      if (point === 'lease.released' && status !== null) proxy.cutAll();
      await sleep(50);
    }
  }

  /** What status said was copied before the crash is still copied. */
  #judgeProgress(rowsOf: ReadonlyMap<string, number>): void {
    const fallen = [...this.#rowsOf].filter(([table, rows]) => (rowsOf.get(table) ?? rows) < rows);
    expect(fallen).toEqual([]);
  }

  async #judgeStorage(): Promise<void> {
    const { service, storage } = this.#around;
    const stored = await readStoredCopy(() => storage.open(service.storagePath));
    const reads = this.#newReads();
    const before = this.#stored;
    if (stored.streamId === before.streamId) {
      expect(stored.headOp).toBeGreaterThanOrEqual(before.headOp);
      expect(readAgain(before, reads)).toEqual([]);
    }
    const inFlight = await inFlightBytes(stored, reads, this.#around.source);
    this.#inFlightBytes = Math.max(this.#inFlightBytes, inFlight);
    this.#stored = stored;
  }

  #newReads(): readonly BlockRead[] {
    const { asked } = this.#around.proxy;
    const reads = blockReads(asked.slice(this.#asked));
    this.#asked = asked.length;
    return reads;
  }

  async #copied(): Promise<boolean> {
    return (await copyStatus(this.#around.service))?.checkpoint === true;
  }

  /** The last start, to the end: everything is there once, and every state that a client ever held was one of the source. */
  async finish(): Promise<void> {
    const { service, copier, load, source } = this.#around;
    service.failpoint = null;
    await Promise.all([service.start(), copier?.stay()]);
    this.#judgeProgress((await copyStatus(service))?.rowsOf ?? new Map());
    await service.until('the copy is complete', () => this.#copied(), COPY_LIMIT_MS);
    await load.stop();
    for (const client of this.#clients) await client.reach(load.committed);
    expect(readAgain(this.#stored, this.#newReads())).toEqual([]);
    for (const client of this.#clients) {
      client.hold();
      for (const holding of client.holdings) {
        const expected = await asOf(source, holding.n, () => expectedRows(source, client.user));
        expect(differences(expected, holding.rows), `${client.user.sub} as of ${holding.n}`).toEqual([]);
      }
      expect(client.client.stats.checksumFailures).toBe(0);
    }
    for (const user of TEST_USERS) {
      const fresh = new SyncClient({
        endpoint: service.url,
        token: () => tokenFor(user),
        register: this.#register,
      });
      await fresh.sync();
      const now = await asOf(source, null, () => expectedRows(source, user));
      expect(differences(now, heldRows(fresh)), `${user.sub}, a fresh client`).toEqual([]);
    }
    expect(this.#inFlightBytes).toBeLessThanOrEqual(IN_FLIGHT_BYTES_MAX);
  }

  report(): CrashReport {
    return {
      kills: this.#kills,
      copierKills: this.#around.copier?.deaths ?? [],
      ops: this.#register.size,
      opsSentAgain: this.#register.repeated,
      transactions: this.#around.load.committed,
      inFlightBytes: this.#inFlightBytes,
      holdings: this.#clients.reduce((sum, client) => sum + client.holdings.length, 0),
    };
  }

  async end(): Promise<void> {
    const { load, service, copier, proxy, source } = this.#around;
    await load.stop().catch(() => {});
    const stopped = await Promise.allSettled(this.#clients.map((client) => client.stop()));
    await copier?.dispose();
    await service.dispose();
    await proxy.close();
    await source.end();
    for (const result of stopped) if (result.status === 'rejected') throw result.reason;
  }
}

/** As often as it answers, until it is dead. */
async function askForWriteCheckpoints(service: ServiceProcess): Promise<void> {
  const [user] = TEST_USERS;
  if (user === undefined) return;
  const client = new SyncClient({ endpoint: service.url, token: () => tokenFor(user) });
  while (service.running) {
    await client.writeCheckpoint().catch(() => {});
    await sleep(100);
  }
}

/** Its slots first; a server of a hundred runs would run out of them. */
async function dropDatabase(postgres: TestPostgres, name: string): Promise<void> {
  const admin = new pg.Client(postgres.uri);
  await admin.connect();
  try {
    const ofDatabase = 'FROM pg_replication_slots WHERE database = $1';
    for (;;) {
      const { rows } = await admin.query(`SELECT pg_terminate_backend(active_pid) ${ofDatabase} AND active`, [name]);
      if (rows.length === 0) break;
      await sleep(50);
    }
    await admin.query(`SELECT pg_drop_replication_slot(slot_name) ${ofDatabase}`, [name]);
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  } finally {
    await admin.end();
  }
}
