/** Chooses the steps of a life by its seed, with an eye on what is there. Each life has likings of its own. */
import type { SnapshotControlChange } from '@sluice/storage';
import { type SeededRandom, seededRandom } from '../../kit/seeded-random.ts';
import type { Change } from './change.ts';
import type { Life } from './life.ts';
import type { Beginning, Step } from './step.ts';
import { ID, LONG, type ModelTable, OWNER, type Row, TEXT } from './tables.ts';
import { OWNERS } from './rules.ts';
import type { Strategy } from './scripted-ranges.ts';

const NAMES = ['alpha', 't_a', 't_b', 'x_a'] as const;

/** What one life is inclined to: chances per step, or per transaction. */
export interface Likings {
  /** How long the life is before everything flows. */
  readonly steps: number;
  readonly writing: number;
  readonly failing: number;
  readonly crashing: number;
  /** The slot of a process that died. */
  readonly losing: number;
  /** Another process begins while the one before is only slow. */
  readonly takingOver: number;
  /** VACUUM FULL and the like. */
  readonly rewriting: number;
  /** Tables that may not be read, and rows that cannot be. */
  readonly denying: number;
  /** Operators at work on the copy. */
  readonly controlling: number;
  /** Chance of a transaction with data definition in it; 0 in about half of the lives. */
  readonly defining: number;
  /** Chance of one that changes the publication. */
  readonly publishing: number;
  /** Whether a transaction is flushed, or visible, at once; and how soon it becomes so else. */
  readonly flushing: number;
  readonly revealing: number;
  readonly catchingUp: number;
  /** How many keys rows have to share: few are used again and again. */
  readonly keys: number;
  /** Of changes of rows: chances that one comes, and that a table is emptied; of updates: that the row moves to another key. */
  readonly inserting: number;
  readonly truncating: number;
  readonly moving: number;
  readonly strategy: Strategy;
  /** Little memory for the copy. */
  readonly tightMemory: boolean;
  /** Whether another process copies, too. */
  readonly copier: boolean;
  /** How quick those are who wait under a label; others are as chance has it. */
  readonly haste: Readonly<Record<string, number>>;
}

function likingsBy(random: SeededRandom): Likings {
  return {
    steps: 220,
    writing: random.pick([0.04, 0.1, 0.2]),
    failing: random.pick([0, 0, 0.005, 0.02]),
    crashing: random.pick([0, 0.003, 0.01]),
    losing: 0,
    controlling: 0,
    denying: 0,
    takingOver: 0,
    publishing: 0,
    rewriting: random.pick([0, 0.005, 0.03]),
    defining: random.pick([0, 0.15]),
    flushing: random.pick([1, 0.9, 0.3]),
    revealing: random.pick([1, 0.9, 0.5]),
    catchingUp: random.pick([0.05, 0.01]),
    keys: 25,
    inserting: 0.25,
    truncating: 0.02,
    moving: 1 / 3,
    strategy: 'blocks',
    tightMemory: false,
    copier: false,
    haste: {},
  };
}

/** The other one has nothing to read before tables are planned. */
const STEPS_BESIDE_A_COPIER = 100;

/** Both copiers shall come to read, and neither to wait for the other all the time. */
function besideACopier(label: string): number {
  if (/^copier (read|chunk of|flushSnapshot) /.test(label)) return 3;
  if (/^(read|chunk of|flushSnapshot) /.test(label)) return 0.3;
  return label.startsWith('copier') ? 0.3 : 1;
}

export class Chooser {
  readonly #random: SeededRandom;
  readonly #likings: Likings;
  readonly #haste = new Map<string, number>();
  readonly beginning: Beginning;
  #nextOid = 100;
  #chosen = 0;

  constructor(seed: number, likings: Partial<Likings> = {}) {
    const random = seededRandom(seed);
    this.#random = random;
    // By the number, not by chance: other lives stay what they were.
    const losing = seed % 5 === 3 ? 0.01 : 0;
    const strategy = seed % 4 === 1 ? 'keys' : 'blocks';
    const controlling = seed % 7 === 4 ? 0.03 : 0;
    const takingOver = seed % 6 === 5 ? 0.01 : 0;
    const tightMemory = seed % 8 === 6;
    const denying = seed % 9 === 7 ? 0.03 : 0;
    const publishing = seed % 9 === 2 ? 0.2 : 0;
    const copier = seed % 11 < 4;
    this.#likings = {
      ...likingsBy(random),
      copier,
      losing,
      strategy,
      takingOver,
      controlling,
      tightMemory,
      publishing,
      denying,
      ...likings,
    };
    for (const [label, haste] of Object.entries(this.#likings.haste)) this.#haste.set(label, haste);
    const tables = NAMES.slice(0, 1 + random.int(3)).map((name) => ({ oid: this.#newOid(), name }));
    const creation = tables.map(({ oid, name }): Change => ({ kind: 'create table', oid, name }));
    const rows = tables.flatMap(({ oid }) =>
      Array.from({ length: random.int(20) }, (): Change => ({ kind: 'insert', oid, row: this.#row(this.#key()) })),
    );
    this.beginning = {
      seed,
      storage: seed % 20 === 0 ? 'lmdb' : 'memory',
      slowReads: random.int(2) === 0,
      concurrency: Math.min(1 + random.int(3), this.#likings.copier ? 1 : 3),
      copier: this.#likings.copier,
      strategy: this.#likings.strategy,
      tightMemory: this.#likings.tightMemory,
      before: [
        { kind: 'commit', changes: [...creation, ...rows], flushed: true, visible: true },
        // Committed before the slot is made, so not in its stream; and perhaps not visible to reads yet.
        {
          kind: 'commit',
          changes: this.#rowChanges(tables.map(({ oid }) => oid)),
          flushed: true,
          visible: random.int(2) === 0,
        },
      ],
    };
  }

  /** Null at the end. */
  next(life: Life): Step | null {
    const { steps, copier } = this.#likings;
    if (this.#chosen++ === steps + (copier ? STEPS_BESIDE_A_COPIER : 0)) return null;
    const random = this.#random;
    const { writing, crashing, losing, takingOver, controlling, denying, catchingUp, rewriting, failing } =
      this.#likings;
    const dice = random.next();
    if (dice < writing) return this.#commit(life);
    if (dice < writing + crashing) return { kind: 'crash' };
    if (dice < writing + crashing + losing) return { kind: 'lose slot' };
    if (dice < writing + crashing + losing + takingOver) return { kind: 'take over' };
    if (controlling > 0 && random.next() < controlling) return { kind: 'control', change: this.#control() };
    if (denying > 0 && random.next() < denying) return this.#denial(life);
    if (this.beginning.copier === true && random.next() < 0.003) return { kind: 'strike off' };
    const { late } = life;
    if (late.length > 0 && random.int(50) === 0) return { kind: 'late', label: random.pick(late) };
    if (random.next() < catchingUp) {
      const unseen = life.database.invisible.length;
      return unseen > 0 && random.int(3) > 0 ? { kind: 'reveal', n: random.int(unseen) } : { kind: 'flush' };
    }
    if (random.next() < 0.01) return { kind: 'grow' };
    if (random.next() < rewriting) return { kind: 'rewrite', oid: this.#someTable(life)?.shape.oid ?? '' };
    const label = this.#someone(life.waiting);
    if (random.next() < failing) return { kind: 'fail', label };
    const together = random.int(6) === 0 ? [this.#someone(life.waiting)] : [];
    return { kind: 'go', labels: [label, ...together], draw: random.next() };
  }

  /** Some kinds of work are quick in a life, others slow. */
  #someone(labels: readonly string[]): string {
    const weights = labels.map((label) => this.#hasteOf(label));
    let left = this.#random.next() * weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, weight] of weights.entries()) {
      left -= weight;
      if (left <= 0) return labels[index] as string;
    }
    return labels.at(-1) ?? '';
  }

  #hasteOf(label: string): number {
    let haste = this.#haste.get(label);
    if (haste === undefined) {
      haste = (label.includes('sleep') ? 0.04 : 1) * this.#random.pick([1, 1, 0.3, 0.05]);
      if (this.beginning.copier === true) haste *= besideACopier(label);
      this.#haste.set(label, haste);
    }
    return haste;
  }

  #commit(life: Life): Step {
    const random = this.#random;
    const { now } = life.database;
    const changes: Change[] = [];
    if (random.next() < this.#likings.defining) changes.push(this.#definition(life));
    if (this.#likings.publishing > 0 && random.next() < this.#likings.publishing) changes.push(this.#publication(life));
    const oids = [...now.keys(), ...changes.flatMap((change) => (change.kind === 'create table' ? [change.oid] : []))];
    if (changes.length === 0 || random.int(2) === 0) changes.push(...this.#rowChanges(oids, now));
    const flushed = random.next() < this.#likings.flushing;
    return { kind: 'commit', changes, flushed, visible: random.next() < this.#likings.revealing };
  }

  #definition(life: Life): Change {
    const random = this.#random;
    const table = this.#someTable(life);
    const kind = random.int(8);
    if (table === undefined || kind === 0)
      return { kind: 'create table', oid: this.#newOid(), name: random.pick(NAMES) };
    const { oid } = table.shape;
    const name = random.pick(['text', 'extra', 'more']);
    if (kind === 1) return { kind: 'drop table', oid };
    if (kind <= 3) return { kind: 'rename table', oid, to: random.pick(NAMES) };
    if (kind <= 5) return { kind: 'add column', oid, name, missing: random.pick([null, 'default']) };
    if (kind === 6) return { kind: random.pick(['drop column', 'change type'] as const), oid, name };
    return { kind: 'replica identity', oid, to: random.pick(['default', 'full', 'default', 'nothing'] as const) };
  }

  #denial(life: Life): Step {
    const random = this.#random;
    const [denied] = life.database.denied.keys();
    if (denied !== undefined && random.int(3) > 0) return { kind: 'grant', oid: denied };
    const table = this.#someTable(life);
    const keys = [...(table?.rows.keys() ?? [])];
    const key = keys.length === 0 || random.int(2) === 0 ? null : random.pick(keys);
    return { kind: 'deny', oid: table?.shape.oid ?? '', key };
  }

  #publication(life: Life): Change {
    const random = this.#random;
    const oid = this.#someTable(life)?.shape.oid ?? '';
    if (random.int(3) === 0) return { kind: 'unpublish', oid };
    return { kind: 'publish', oid, from: random.pick(['', '', '15', '22']) };
  }

  #rowChanges(oids: readonly string[], now?: ReadonlyMap<string, ModelTable>): readonly Change[] {
    if (oids.length === 0) return [];
    return Array.from({ length: 1 + this.#random.int(5) }, () => this.#rowChange(oids, now));
  }

  #rowChange(oids: readonly string[], now: ReadonlyMap<string, ModelTable> | undefined): Change {
    const random = this.#random;
    const oid = random.pick(oids);
    const keys = [...(now?.get(oid)?.rows.keys() ?? [])];
    const dice = random.next();
    const { inserting, truncating } = this.#likings;
    if (keys.length === 0 || dice < inserting) return { kind: 'insert', oid, row: this.#row(this.#key()) };
    const key = random.pick(keys);
    if (dice < inserting + 0.15) return { kind: 'delete', oid, key };
    if (dice < inserting + 0.15 + truncating) return { kind: 'truncate', oids: random.int(4) === 0 ? oids : [oid] };
    const set: Record<number, string | null> = {};
    if (random.int(2) === 0) set[OWNER] = this.#owner();
    if (random.int(2) === 0) set[TEXT] = this.#text();
    if (random.int(3) === 0) set[LONG] = this.#long();
    if (random.next() < this.#likings.moving) set[ID] = this.#key();
    const added = now?.get(oid)?.shape.columns.find(({ attribute }) => attribute > LONG)?.attribute;
    if (added !== undefined && random.int(2) === 0) set[added] = random.int(2) === 0 ? this.#long() : this.#text();
    return { kind: 'update', oid, key, set };
  }

  #control(): SnapshotControlChange {
    const random = this.#random;
    const table = `public.${random.pick(NAMES)}`;
    switch (random.int(7)) {
      case 0:
        return { kind: 'pauseAll' };
      case 1:
        return { kind: 'hold', table, hold: { kind: 'paused', atMs: 0 } };
      case 2:
        return { kind: 'hold', table, hold: { kind: 'cancelled', atMs: 0 } };
      case 3:
        return { kind: 'priority', table, priority: random.int(3) };
      case 4:
        return { kind: 'concurrency', value: 1 + random.int(3) };
      default:
        return { kind: 'resumeAll' };
    }
  }

  #someTable(life: Life): ModelTable | undefined {
    const tables = [...life.database.now.values()];
    return tables.length === 0 ? undefined : this.#random.pick(tables);
  }

  #newOid(): string {
    return String(this.#nextOid++);
  }

  #row(key: string): Row {
    return [key, this.#owner(), this.#text(), this.#long()];
  }

  #key(): string {
    return String(10 + this.#random.int(this.#likings.keys));
  }

  #owner(): string | null {
    return this.#random.int(6) === 0 ? null : this.#random.pick(OWNERS);
  }

  #text(): string {
    return `t${this.#random.int(1000)}`;
  }

  /** Sometimes more than may be synced. */
  #long(): string {
    const long = `long ${this.#random.int(1000)}`;
    return this.#random.int(12) === 0 ? long.repeat(20) : long;
  }
}
