/**
 * The real replicator over a model database and the in-memory storage, thousands of interleavings: chance decides whether
 * a transaction commits, becomes visible, is delivered, a chunk is read, a chunk read earlier arrives, a table is
 * rewritten or emptied, or the process dies. After every step each checkpoint must equal the source at exactly its
 * position; and in the end everything must arrive.
 */
import { nextTurn, silentLogger, systemClock } from '@sluice/core';
import { Replicator } from '@sluice/replication';
import { type BucketStorage, createMemoryStorage, type MemoryStorage, type StreamInfo } from '@sluice/storage';
import { expect, test } from 'vitest';
import { DeliveryGate } from '../kit/held-source.ts';
import { type SeededRandom, seededRandom } from '../kit/seeded-random.ts';
import { sized, testSeed } from '../kit/size.ts';
import { reducedBucket } from './reduced-bucket.ts';
import { ModelDatabase, type ModelRow, type TableName, TABLE_NAMES } from './model-database.ts';
import { bucketOf, expectedOf, modelRules, OWNERS } from './model-rules.ts';
import { createModelSource, type ModelSlot } from './model-source.ts';

const RUNS = Number(process.env['SLUICE_TEST_RUNS'] ?? sized(400, 20_000));
const FIRST = Number(process.env['SLUICE_TEST_FIRST'] ?? testSeed);
const STEPS = 150;

test(`${RUNS} interleavings from seed ${FIRST}`, { timeout: sized(60_000, 1_800_000) }, async () => {
  let checkpoints = 0;
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    const simulation = new Simulation(seed);
    try {
      await simulation.run();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}\nsteps: ${simulation.steps.join(' ')}`, {
        cause: error,
      });
    } finally {
      await simulation.dispose();
    }
    checkpoints += simulation.checkpoints;
  }
  // Most runs see checkpoints before their end: else nothing but the end would be judged.
  if (RUNS >= 100) expect(checkpoints).toBeGreaterThan(RUNS * 2);
});

class Simulation {
  readonly steps: string[] = [];
  checkpoints = 0;
  readonly #random: SeededRandom;
  readonly #database: ModelDatabase;
  readonly #slot: ModelSlot;
  #storage: MemoryStorage = createMemoryStorage();
  #stream: StreamInfo | null = null;
  #gates = closedGates();
  #stop = new AbortController();
  #ended: Promise<Error | null> = Promise.resolve(null);
  #lastSeen = '';
  #nextId = 1;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#database = new ModelDatabase(this.#random);
    for (let count = 0; count < 12; count++) this.#insert();
    this.#database.revealAll();
    // Committed before the slot is made, so not in its stream; and not visible to reads yet.
    if (this.#random.int(2) === 0) this.#insert();
    this.#slot = { acknowledged: this.#database.head };
  }

  async run(): Promise<void> {
    this.#stream = await this.#storage.createStream('', 0);
    this.#replicate();
    for (let step = 0; step < STEPS; step++) {
      this.#step();
      const turns = this.#random.int(6);
      for (let turn = 0; turn < turns; turn++) await nextTurn();
      await this.#check();
    }
    await this.#finish();
  }

  #replicate(): void {
    const gates = closedGates();
    const stop = new AbortController();
    this.#gates = gates;
    this.#stop = stop;
    this.#ended = this.#attempt(stop.signal, gates);
  }

  async #attempt(signal: AbortSignal, gates: ReturnType<typeof closedGates>): Promise<Error | null> {
    const storage = this.#storage;
    const stream = (await storage.listStreams())[0];
    if (stream === undefined) return new Error('no stream');
    const source = createModelSource({ database: this.#database, slot: this.#slot, random: this.#random, ...gates });
    const ports = { stream, rules: modelRules, source, clock: systemClock, logger: silentLogger };
    try {
      const alive = whileAlive(storage, signal);
      return await new Replicator({ ...ports, storage: alive, owner: 'simulation', concurrency: 3 }).run(signal);
    } catch (error) {
      return signal.aborted ? null : (error as Error);
    }
  }

  #step(): void {
    const kind = this.#random.int(100);
    if (kind < 34) this.#write();
    else if (kind < 44) this.#do('reveal', () => this.#database.reveal());
    else if (kind < 64) this.#do('stream', () => this.#gates.streamGate.letOne());
    else if (kind < 78) this.#do('read', () => this.#gates.readGate.letOne());
    else if (kind < 92) this.#do('chunk', () => this.#gates.chunkGate.letOne());
    else if (kind < 94) this.#do('mark', () => this.#database.mark());
    else if (kind < 95) this.#do('rewrite', () => this.#database.rewrite(this.#random.pick(TABLE_NAMES)));
    else if (kind < 97) this.#do('crash', () => this.#crash());
    else this.#do('open', () => this.#openFor());
  }

  #do(name: string, what: () => void): void {
    this.steps.push(name);
    what();
  }

  #crash(): void {
    this.#end('crash');
    this.#storage = this.#storage.afterCrash();
    this.#replicate();
  }

  /** Lets everything flow until the next step closes it again. */
  #openFor(): void {
    const { streamGate, chunkGate, readGate } = this.#gates;
    for (const gate of [streamGate, chunkGate, readGate]) {
      if (this.#random.int(2) === 0) gate.open();
      else gate.close();
    }
  }

  #row(id: string): ModelRow {
    const owner = this.#random.int(8) === 0 ? null : this.#random.pick(OWNERS);
    return { id, owner, text: `t${this.#random.int(1000)}`, long: `long ${this.#random.int(1000)}` };
  }

  #insert(): void {
    this.#database.commit([
      { kind: 'insert', table: this.#random.pick(TABLE_NAMES), row: this.#row(`r${this.#nextId++}`) },
    ]);
  }

  /** One transaction of one to four changes, which see each other. */
  #write(): void {
    const database = this.#database;
    const changes: Parameters<ModelDatabase['commit']>[0][number][] = [];
    const live = new Map(database.now);
    const size = 1 + this.#random.int(4);
    const names: string[] = [];
    while (changes.length < size) {
      const table = this.#random.pick(TABLE_NAMES);
      const ids = [...live.keys()]
        .filter((key) => key.startsWith(`${table}/`))
        .map((key) => key.slice(table.length + 1));
      const kind = this.#random.int(100);
      if (kind < 2) {
        changes.push({ kind: 'truncate', table });
        for (const id of ids) live.delete(`${table}/${id}`);
        names.push(`truncate(${table})`);
        continue;
      }
      if (ids.length < 4 || kind < 25) {
        // Sometimes the key of a row that is gone.
        const id = this.#random.int(3) === 0 ? `r${1 + this.#random.int(this.#nextId)}` : `r${this.#nextId++}`;
        if (live.has(`${table}/${id}`)) continue;
        database.revealKey(table, id);
        const row = this.#row(id);
        live.set(`${table}/${id}`, row);
        changes.push({ kind: 'insert', table, row });
        names.push(`insert(${table}/${id})`);
        continue;
      }
      const id = this.#random.pick(ids);
      const old = live.get(`${table}/${id}`);
      if (old === undefined) continue;
      database.revealKey(table, id);
      live.delete(`${table}/${id}`);
      if (kind < 40) {
        changes.push({ kind: 'delete', table, id });
        names.push(`delete(${table}/${id})`);
        continue;
      }
      const next = this.#updated(table, old, live);
      database.revealKey(table, next.row.id);
      live.set(`${table}/${next.row.id}`, next.row);
      changes.push({ kind: 'update', table, id, ...next });
      names.push(`update(${table}/${id}${next.row.id === id ? '' : `→${next.row.id}`}${next.whole ? '' : ' gap'})`);
    }
    database.commit(changes);
    this.steps.push(names.join('+'));
  }

  #updated(table: TableName, old: ModelRow, live: ReadonlyMap<string, ModelRow>): { row: ModelRow; whole: boolean } {
    const fresh = this.#row(old.id);
    const whole = this.#random.int(2) === 0;
    const candidate = this.#random.int(4) === 0 ? `r${1 + this.#random.int(this.#nextId + 3)}` : old.id;
    const id = live.has(`${table}/${candidate}`) ? old.id : candidate;
    const nothing = this.#random.int(12) === 0;
    return { row: nothing ? { ...old, id } : { ...fresh, id, long: whole ? fresh.long : old.long }, whole };
  }

  async #check(): Promise<void> {
    const { id } = this.#stream as StreamInfo;
    const reader = this.#storage.reader(id);
    const checkpoint = await reader.checkpoint();
    if (checkpoint === null) return;
    const seen = `${checkpoint.position}/${String(checkpoint.opId).padStart(10, '0')}`;
    if (seen < this.#lastSeen) throw new Error(`the checkpoint went back from ${this.#lastSeen} to ${seen}`);
    if (seen === this.#lastSeen) return;
    this.#lastSeen = seen;
    this.checkpoints++;
    const state = this.#database.stateAt(checkpoint.position);
    for (const owner of OWNERS) {
      const held = await reducedBucket(reader, checkpoint.opId, bucketOf(owner));
      expect(held, `${owner} at ${seen}`).toEqual(expectedOf(state, owner));
    }
    for (const [key, row] of state) {
      const [found] = await reader.lookups(checkpoint.opId, [`owner of ${key}`]);
      expect(found, `lookup of ${key} at ${seen}`).toEqual([JSON.stringify([{ owner: row.owner }])]);
    }
    const gone = await reader.lookups(checkpoint.opId, [`owner of alpha/r${1 + this.#random.int(this.#nextId)}`]);
    expect((gone[0] ?? []).length).toBeLessThan(2);
  }

  /** Everything flows; then the newest checkpoint must cover everything. */
  async #finish(): Promise<void> {
    this.steps.push('finish');
    const target = this.#database.log.at(-1)?.position ?? '';
    this.#database.revealAll();
    for (let turn = 0; turn < 2_000; turn++) {
      for (const gate of Object.values(this.#gates)) gate.open();
      await nextTurn();
      if (this.#lastSeen.slice(0, 16) >= target) break;
      const ended = await Promise.race([this.#ended, nextTurn().then(() => undefined)]);
      if (ended !== undefined) throw ended ?? new Error('ended');
      if (turn % 10 === 0) await this.#check();
    }
    await this.#check();
    if (this.#lastSeen.slice(0, 16) < target) {
      const state = await this.#storage.reader((this.#stream as StreamInfo).id).checkpointState();
      throw new Error(`no checkpoint at ${target}: ${JSON.stringify(state)}`);
    }
  }

  #end(reason: string): void {
    this.#stop.abort(new Error(reason));
    for (const gate of Object.values(this.#gates)) gate.break();
  }

  async dispose(): Promise<void> {
    this.#end('over');
    await this.#ended;
  }
}

/** A dead process opens no writer. */
function whileAlive(storage: BucketStorage, signal: AbortSignal): BucketStorage {
  const alive: Pick<BucketStorage, 'listStreams' | 'reader' | 'openWriter' | 'activate' | 'reportError'> = {
    listStreams: () => storage.listStreams(),
    reader: (id) => storage.reader(id),
    openWriter: async (id, owner) => {
      signal.throwIfAborted();
      return storage.openWriter(id, owner);
    },
    activate: (id) => storage.activate(id),
    reportError: (id, error) => storage.reportError(id, error),
  };
  return alive as BucketStorage;
}

function closedGates(): { streamGate: DeliveryGate; chunkGate: DeliveryGate; readGate: DeliveryGate } {
  return { streamGate: new DeliveryGate(), chunkGate: new DeliveryGate(), readGate: new DeliveryGate() };
}
