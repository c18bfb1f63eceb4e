/**
 * Everything at once: a streamer, eight copiers and three readers, on a storage whose adapter may disturb it (broken
 * connections, conflicts, commits whose answer is lost). What must hold: every flush counts exactly once, no checkpoint
 * goes back, and what a reader has gathered op by op is the model at the checkpoint's position, sums included.
 */
import { type Checkpoint, invariant, nextTurn, type OpId, type Position } from '@sluice/core';
import { expect, test } from 'vitest';
import type { StreamReader } from '../bucket-storage.ts';
import type { CopyWriter } from '../copy-writer.ts';
import type { TableState } from '../table-state.ts';
import type { FlushResult } from '../flush-result.ts';
import { at, bodiesOf, type OpenStorage, World } from './harness.ts';
import { evaluateToyRow, put, reduceOps, remove, type ToyWrite } from './toy-rows.ts';

const COPIERS = 8;
const READERS = 3;
const KEYS_OF_A_COPIER = 30;
const CHUNK_ROWS = 10;
const BUCKETS = ['even', 'odd'];

/** Rows of all buckets as a client would hold them: `table.key` → value. */
type Picture = Readonly<Record<string, string>>;

/** The source: rows now, every change in order, and pictures of what was committed. */
class Model {
  readonly #rows = new Map<number, Map<string, string>>();
  #changes: ToyWrite[] = [];
  #position = 1;
  readonly pictures = new Map<Position, Picture>();

  get position(): number {
    return this.#position;
  }

  change(write: ToyWrite): void {
    this.#position++;
    this.#changes.push(write);
    const rows = this.#rows.get(write.tableId) ?? new Map<string, string>();
    this.#rows.set(write.tableId, rows);
    if (write.row === null) rows.delete(write.key);
    else rows.set(write.key, write.row.value);
  }

  /** Rows that stand in a table before anyone copies or streams it. */
  fill(table: TableState, keys: readonly string[]): void {
    this.#rows.set(table.id, new Map(keys.map((key) => [key, `0 ${key}`])));
  }

  read(table: TableState, keys: readonly string[]): ToyWrite[] {
    const rows = this.#rows.get(table.id);
    return keys.flatMap((key) => {
      const value = rows?.get(key);
      return value === undefined ? [] : [rowOf(table, key, value)];
    });
  }

  /** What has changed since the last call; its commit may be published as this picture. */
  take(): { readonly writes: readonly ToyWrite[]; readonly position: Position } {
    const writes = this.#changes;
    this.#changes = [];
    const position = at(this.#position);
    this.pictures.set(position, this.#picture());
    return { writes, position };
  }

  #picture(): Picture {
    const rows = [...this.#rows.values()].flatMap((table) => [...table]);
    return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Keys are told apart by their table's name, so that a picture needs nothing else. */
function rowOf(table: TableState, key: string, value: string): ToyWrite {
  return put(table, key, value, { buckets: [BUCKETS[value.length % 2] as string] });
}

function keysOf(round: number): string[] {
  return Array.from({ length: COPIERS * KEYS_OF_A_COPIER }, (_, index) => `${round}.${index}`);
}

class Run {
  readonly #world: World;
  readonly #model = new Model();
  readonly #flushed: Extract<FlushResult, { kind: 'flushed' }>[] = [];
  readonly #stop = new AbortController();
  #tables: TableState[] = [];
  #seed = 1;

  readonly #openCopier: OpenCopier;

  constructor(world: World, openCopier: OpenCopier) {
    this.#world = world;
    this.#openCopier = openCopier;
  }

  /** Begins new rounds for so long, and until `isEnough`. */
  async play(milliseconds: number, isEnough: () => boolean): Promise<void> {
    const readers = Array.from({ length: READERS }, () => this.#read());
    // Whoever fails first says why.
    const failed = Promise.all(readers);
    failed.catch(() => undefined);
    const until = performance.now() + milliseconds;
    for (let round = 1; round === 1 || performance.now() < until || !isEnough(); round++) {
      await Promise.race([this.#round(round), failed.then(() => Promise.reject(new Error('readers ended')))]);
    }
    const last = await this.#world.checkpoint();
    await this.#gathered(last);
    this.#stop.abort();
    await failed;
    await this.#expectOnce();
  }

  /** A table is added, filled, and copied by all copiers while it and its predecessors change. */
  async #round(round: number): Promise<void> {
    const world = this.#world;
    const table = await world.pendingTable(`round ${round}`, COPIERS);
    const keys = keysOf(round);
    this.#model.fill(table, keys);
    this.#tables = [...this.#tables, table].slice(-2);
    let copying = true;
    const streaming = this.#streamWhile(() => copying);
    const copies = Array.from({ length: COPIERS }, (_, index) => this.#copy(table, index, keys));
    await Promise.all([...copies.map((copy) => copy), Promise.all(copies).then(() => (copying = false)), streaming]);
    const end = at(this.#model.position);
    await world.writer.markTableSnapshotDone(table.id, table.generation, end);
    expect(await world.writer.markAllSnapshotDone(end)).toEqual([]);
    for (let more = 0; more < 5; more++) await this.#streamOnce();
    await world.writer.purgeTombstones(1_000);
  }

  async #copy(table: TableState, index: number, keys: readonly string[]): Promise<void> {
    const own = keys.slice(index * KEYS_OF_A_COPIER, (index + 1) * KEYS_OF_A_COPIER);
    const copier = await this.#openCopier(this.#world);
    const task = await copier.claimTask({ tableId: table.id, generation: table.generation, index });
    expect(task).toMatchObject({ index, claimedBy: copier.claimant });
    for (let from = 0; from < own.length; from += CHUNK_ROWS) {
      const rows = this.#model.read(table, own.slice(from, from + CHUNK_ROWS));
      const done = from + CHUNK_ROWS >= own.length;
      // Time for the stream to get ahead of what was read.
      await nextTurn();
      this.#count(await this.#world.chunkBy(copier, table, rows, { index, done, cursor: `${from}` }));
    }
    if (copier !== this.#world.writer) await copier.close();
  }

  async #streamWhile(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      await this.#streamOnce();
      await nextTurn();
    }
  }

  /** Some changes, their flush, and a commit that does not wait for it. */
  async #streamOnce(): Promise<void> {
    const { writer } = this.#world;
    for (let change = 0; change < 8; change++) this.#changeSomething();
    const { writes, position } = this.#model.take();
    const flushing = writer.flush({ writes, evaluate: evaluateToyRow, boundary: position });
    const committing = writer.commit(position);
    const [flushed, outcome] = await Promise.all([flushing, committing]);
    this.#count(flushed);
    if (outcome.kind === 'blocked') expect(outcome.gate).not.toBe('position');
  }

  #changeSomething(): void {
    const table = this.#tables[this.#random(this.#tables.length)];
    invariant(table !== undefined, 'there is no table to change');
    const round = table.relation.name.slice('round '.length);
    const key = `${round}.${this.#random(COPIERS * KEYS_OF_A_COPIER)}`;
    const gone = this.#random(4) === 0;
    this.#model.change(gone ? remove(table, key) : rowOf(table, key, `${this.#model.position} ${key}`));
  }

  /** Small and good enough; the same in every run. */
  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return (this.#seed >>> 8) % below;
  }

  #count(result: FlushResult): void {
    invariant(result.kind === 'flushed', 'a flush was discarded, though nothing had made it stale');
    this.#flushed.push(result);
  }

  async #read(): Promise<void> {
    const reader = this.#world.storage.reader(this.#world.stream.id);
    const gathered = new Gathered(reader);
    let before: Checkpoint | null = null;
    for await (const checkpoint of reader.watch(this.#stop.signal)) {
      if (before !== null) {
        expect(checkpoint.opId).toBeGreaterThanOrEqual(before.opId);
        expect(checkpoint.position >= before.position).toBe(true);
      }
      before = checkpoint;
      await gathered.expectAt(checkpoint, this.#model.pictures);
    }
  }

  async #gathered(checkpoint: Checkpoint): Promise<void> {
    await new Gathered(this.#world.reader).expectAt(checkpoint, this.#model.pictures);
  }

  /** Ids follow one another without a gap or an overlap, so no flush was lost and none was written twice. */
  async #expectOnce(): Promise<void> {
    const { headOp } = await this.#world.reader.checkpointState();
    const ranges = this.#flushed.filter(({ ops }) => ops > 0).sort((a, b) => a.headOp - b.headOp);
    let end = 0;
    for (const { headOp: last, ops } of ranges) {
      expect(last - ops).toBe(end);
      end = last;
    }
    expect(headOp).toBe(end);
  }
}

/** What one client holds. */
class Gathered {
  readonly #reader: StreamReader;
  readonly #bodies = new Map<string, Uint8Array[]>(BUCKETS.map((bucket) => [bucket, []]));
  #upTo: OpId = 0;

  constructor(reader: StreamReader) {
    this.#reader = reader;
  }

  async expectAt({ opId, position }: Checkpoint, pictures: ReadonlyMap<Position, Picture>): Promise<void> {
    const requests = BUCKETS.map((bucket) => ({ bucket, after: this.#upTo }));
    for (const chunk of await this.#reader.readOps(opId, requests, { ops: 1e6, bytes: 1e9 })) {
      this.#bodies.get(chunk.bucket)?.push(...bodiesOf(chunk));
    }
    this.#upTo = opId;
    for (const { bucket, checksum, count } of await this.#reader.bucketSums(opId, BUCKETS)) {
      const bodies = this.#bodies.get(bucket) ?? [];
      const sum = bodies.reduce((added, body) => (added + Buffer.from(body).readInt32LE(10)) | 0, 0);
      expect({ bucket, checksum, count }).toEqual({ bucket, checksum: sum, count: bodies.length });
    }
    const rows = BUCKETS.flatMap((bucket) => Object.entries(reduceOps(this.#bodies.get(bucket) ?? [])));
    const held = Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
    expect(held, `at ${position}`).toEqual(pictures.get(position));
  }
}

type OpenCopier = (world: World) => Promise<CopyWriter>;

const COPIERS_ARE: readonly (readonly [string, OpenCopier])[] = [
  ['that share the writer', async ({ writer }) => writer],
  ['each with a writer of its own', ({ storage, stream }) => storage.openCopyWriter(stream.id, 'a copier')],
];

/** @param milliseconds how long new rounds are begun; on a slow machine longer, until the storage was disturbed at all */
export function concurrencyConformance(open: OpenStorage, milliseconds: number): void {
  test.for(COPIERS_ARE)(
    'a streamer, eight copiers %s, and three readers at once',
    { timeout: milliseconds + 120_000 },
    async ([, openCopier]) => {
      const opened = await open();
      const world = await World.open(async () => opened);
      try {
        await new Run(world, openCopier).play(milliseconds, () => opened.wasDisturbed?.() ?? true);
      } finally {
        await world.close();
      }
    },
  );
}
