/**
 * One life: the real engine over a real storage, a simulated source, and steps that somebody chooses. After each step the
 * witness looks; at the end everything flows, and everything must arrive.
 */
import {
  type Checkpoint,
  type Clock,
  type Logger,
  limits,
  SluiceError,
  silentLogger,
  type StreamId,
} from '@sluice/core';
import { type Duty, NO_THROTTLE, ReplicationEngine } from '@sluice/replication';
import type { BucketStorage, SnapshotControlChange, StreamWriter, TableState } from '@sluice/storage';
import { HeldBytes } from './held-bytes.ts';
import { Oracle } from './oracle.ts';
import { rules } from './rules.ts';
import { ScriptedSource, type Slot } from './scripted-source.ts';
import { altered, slowStorage } from './slow-storage.ts';
import { SourceDatabase } from './source-database.ts';
import type { Beginning, Step } from './step.ts';
import { Turns, type TurnTaker } from './turns.ts';
import { told, Violation, Witness } from './witness.ts';

/** Small data must meet the limits that large data meets. */
const SMALL = { rowBytesMax: 160, streamFlushBytesMax: 500 };
const { pendingBytesMax, streamReservedBytes } = limits;
const ROOMY = { pendingBytesMax, streamReservedBytes };
/** With three places, whose first halves fit, and whose seconds do not fit beside them. */
const TIGHT: typeof ROOMY = { pendingBytesMax: 1_100_000, streamReservedBytes: 100_000 };
/** What is reserved for the stream holds so many flushes (limits.ts): those under way, and what is gathered meanwhile. */
const STREAM_FLUSHES = 4;

/** But for a lease, which it would hold for ever: leases that run out are a matter of each storage. */
const ASKED_OF_STORAGE = /^(copier )?(?!open(Copy)?Writer )\w+ (starts|answers)$/;

const DRAIN_STEPS_MAX = 6000;

/** A storage, and what a new process finds when the old one has died. */
export interface SimulatedStorage {
  readonly storage: BucketStorage;
  reopen(): Promise<SimulatedStorage>;
  /** Takes those that copy for dead, where that can be wrong. */
  strikeOff(): void;
  dispose(): Promise<void>;
}

export interface World {
  openStorage(kind: Beginning['storage']): Promise<SimulatedStorage>;
  /** Takes a rule out, to see it missed. */
  readonly mutant?: Mutant | undefined;
}

export interface Mutant {
  readonly writer?: (writer: StreamWriter) => Partial<StreamWriter>;
  /** In place of what the life has. */
  readonly limits?: Partial<Record<keyof typeof limits, number>>;
  readonly source?: (source: ScriptedSource, database: SourceDatabase) => Partial<ScriptedSource>;
}

export class Life {
  readonly database = new SourceDatabase();
  readonly witness = new Witness((table, id) => this.database.hasPartialUpdate(table, id));
  readonly #oracle = new Oracle(this.database);
  #held: HeldBytes;
  readonly #slot: Slot = { confirmed: null, session: 0 };
  readonly #beginning: Beginning;
  readonly #world: World;
  #opened: SimulatedStorage;
  #turns = new Turns();
  /** Of the process that another one took over from, while that has not ended. */
  #late: Turns | null = null;
  #stop = new AbortController();
  #streamId: StreamId = 0;
  #failure: unknown = null;
  /** Tables that could not be read once. */
  readonly #granted = new Set<string>();

  private constructor(beginning: Beginning, world: World, opened: SimulatedStorage) {
    this.#beginning = beginning;
    this.#world = world;
    this.#opened = opened;
    this.#held = this.#nothingHeld();
  }

  static async begin(beginning: Beginning, world: World): Promise<Life> {
    Object.assign(limits, SMALL, memoryOf(beginning), world.mutant?.limits);
    const life = new Life(beginning, world, await world.openStorage(beginning.storage));
    for (const step of beginning.before) await life.#apply(step);
    life.#streamId = (await life.#opened.storage.createStream('', 0)).id;
    life.#startProcess();
    await life.#turns.quiet();
    return life;
  }

  /** What the process that was taken over from has asked of storage: nothing else of it is heard any more. */
  get late(): readonly string[] {
    return this.#late?.labels.filter((label) => ASKED_OF_STORAGE.test(label)) ?? [];
  }

  /** Who waits for a turn. */
  get waiting(): readonly string[] {
    return this.#turns.labels;
  }

  /** @throws Violation */
  async step(step: Step): Promise<void> {
    await this.#apply(step);
    await this.#turns.quiet();
    if (this.#failure !== null) throw new Violation(`the engine failed: ${describe(this.#failure)}`);
    this.#held.check();
    await this.#look(false);
  }

  /** Lets everything flow in order, until a checkpoint shows everything as it is. @throws Violation */
  async finish(): Promise<void> {
    this.database.revealAll();
    await this.#control({ kind: 'resumeAll' });
    if (this.database.denied.size > 0) {
      const left = async () => (await this.#tables()).filter((table) => this.#shouldBeCopied(table));
      await this.#flow(async () => {
        await this.#resumeSetAside((table) => this.#wasGranted(table));
        return (await left()).length === 0;
      });
      const names = (await left()).map(({ relation }) => relation.name);
      if (names.length > 0) throw new Violation(`not copied, though they may be read: ${names.join()}`);
      for (const oid of this.database.denied.keys()) await this.#grant(oid);
    }
    const target = this.database.head;
    let judged: Checkpoint | null = null;
    let unnoticed: string | null = null;
    await this.#flow(async () => {
      await this.#resumeSetAside(() => true);
      const { last } = this.witness;
      if (last === null || last.position < target) return false;
      if (last !== judged) unnoticed = this.#oracle.unnoticed(this.witness.held());
      judged = last;
      return unnoticed === null;
    });
    const { last } = this.witness;
    if (last === null || last.position < target) {
      const state = await this.#opened.storage.reader(this.#streamId).checkpointState();
      throw new Violation(`no checkpoint at ${target}: ${JSON.stringify(state)}; waiting: ${this.waiting.join(', ')}`);
    }
    if (unnoticed !== null) throw new Violation(`at the end, ${unnoticed}`);
    await this.#look(true);
    await this.witness.readAgain(this.#opened.storage.reader(this.#streamId));
  }

  /** In order, until the end is reached or too long has passed. */
  async #flow(isOver: () => Promise<boolean>): Promise<void> {
    for (let step = 0; step < DRAIN_STEPS_MAX && !(await isOver()); step++) {
      this.database.flush();
      const label = this.#turns.first;
      if (label === undefined) throw new Violation('nothing is left to be done, but the end is not reached');
      await this.step({ kind: 'go', labels: [label], draw: 0.9 });
    }
  }

  /** A failure from before the end of its cause may be stored behind it: then a person resumes the table again. */
  async #resumeSetAside(isMended: (table: string) => boolean): Promise<void> {
    const { tables } = await this.#opened.storage.reader(this.#streamId).snapshotControl();
    for (const [table, { hold }] of Object.entries(tables)) {
      if (hold?.kind === 'quarantined' && isMended(table)) await this.#control({ kind: 'resume', table });
    }
  }

  #wasGranted(table: string): boolean {
    const { now, denied } = this.database;
    return [...this.#granted].some((oid) => !denied.has(oid) && `public.${now.get(oid)?.shape.name}` === table);
  }

  #tables(): Promise<readonly TableState[]> {
    return this.#opened.storage.reader(this.#streamId).tables();
  }

  #shouldBeCopied({ snapshot, relation }: TableState): boolean {
    return snapshot === 'pending' && !this.database.denied.has(relation.sourceId);
  }

  async dispose(): Promise<void> {
    this.#stop.abort(new Error('over'));
    this.#turns = new Turns();
    await this.#opened.dispose();
  }

  async #look(final: boolean): Promise<void> {
    const reader = this.#opened.storage.reader(this.#streamId);
    const fresh = await this.witness.look(reader);
    const checkpoint = fresh ?? (final ? this.witness.last : null);
    if (checkpoint === null) return;
    try {
      this.#oracle.judge(this.witness.held(), checkpoint.position);
    } catch (error) {
      throw new Violation(`checkpoint ${told(checkpoint)}: ${(error as Error).message}`);
    }
    await this.witness.compareLookups(reader, checkpoint);
  }

  async #apply(step: Step): Promise<void> {
    const { database } = this;
    switch (step.kind) {
      case 'commit': {
        const before = database.log.length;
        database.commit(step.changes);
        if (step.flushed) database.flush();
        const [made] = database.log.slice(before);
        if (made !== undefined && step.visible && !made.visible) database.reveal(made);
        return;
      }
      case 'reveal': {
        const transaction = database.invisible[step.n];
        if (transaction !== undefined) database.reveal(transaction);
        return;
      }
      case 'flush':
        return database.flush();
      case 'grow':
        return database.grow();
      case 'rewrite':
        return database.rewrite(step.oid);
      case 'go':
        for (const label of step.labels) this.#turns.goOn(label, step.draw);
        return;
      case 'fail':
        this.#turns.fail(step.label, new SluiceError('SLU_S1151', `the connection broke at: ${step.label}`));
        return;
      case 'control':
        return this.#control(step.change);
      case 'deny':
        return database.deny(step.oid, step.key);
      case 'grant':
        return this.#grant(step.oid);
      case 'crash':
        return this.#crash();
      case 'take over': {
        const turns = this.#turns;
        await this.#crash();
        // The other storages are opened by one process at a time, or fence in a way of their own.
        if (this.#beginning.storage === 'memory') this.#late = turns;
        return;
      }
      case 'strike off':
        return this.#opened.strikeOff();
      case 'late':
        this.#late?.goOn(step.label, 0);
        return;
      case 'lose slot':
        this.#slot.confirmed = null;
        this.#slot.session++;
        await this.#crash();
    }
  }

  async #grant(oid: string): Promise<void> {
    this.#granted.add(oid);
    this.database.denied.delete(oid);
    const shape = this.database.now.get(oid)?.shape;
    if (shape !== undefined) await this.#control({ kind: 'resume', table: `public.${shape.name}` });
  }

  async #control(change: SnapshotControlChange): Promise<void> {
    await this.#opened.storage.controlSnapshot(this.#streamId, [change]);
  }

  #nothingHeld(): HeldBytes {
    const memory = memoryOf(this.#beginning);
    const copyBytes = memory.pendingBytesMax - memory.streamReservedBytes;
    return new HeldBytes({ copyBytes, streamBytes: STREAM_FLUSHES * SMALL.streamFlushBytesMax });
  }

  /** Whoever waits, waits for ever. */
  async #crash(): Promise<void> {
    this.#late = null;
    this.#turns = new Turns();
    this.#opened = await this.#opened.reopen();
    this.#startProcess();
  }

  #startProcess(): void {
    this.#stop = new AbortController();
    this.#held = this.#nothingHeld();
    this.#begin('replicate', this.#turns, this.#held);
    // What that one holds is another process's memory.
    if (this.#beginning.copier === true) this.#begin('copy', this.#turns.as('copier'), this.#nothingHeld());
  }

  #begin(duty: Duty, turns: TurnTaker, held: HeldBytes): void {
    const { slowReads, concurrency, strategy = 'blocks', tightMemory: measured = false } = this.#beginning;
    const { mutant } = this.#world;
    const watched = altered(this.#opened.storage, {
      reportError: async (id, error) => {
        if (error?.code === 'SLU_X0001' || error?.code === 'SLU_X0002') this.#failure = error;
        return this.#opened.storage.reportError(id, error);
      },
    });
    // Who copies does not stream: to it the slot is what it looks at.
    const slot = duty === 'copy' ? seenBeside(this.#slot) : this.#slot;
    const engine = new ReplicationEngine({
      duty,
      storage: held.watching(slowStorage(watched, { turns, slowReads, mutant: mutant?.writer }), this.#opened.storage),
      createSource: () => {
        const source = new ScriptedSource(this.database, slot, { turns, reads: { strategy, measured, held } });
        return mutant?.source === undefined ? source : altered(source, mutant.source(source, this.database));
      },
      compileRules: () => rules,
      clock: turns.clock,
      random: () => 0.5,
      logger: this.#logger(),
      owner: 'simulated',
      concurrency,
      throttle: NO_THROTTLE,
    });
    void this.#keepRunning(engine, { turns: this.#turns, clock: turns.clock });
  }

  /** As the service does: an engine that cannot list its streams is begun again. */
  async #keepRunning(engine: ReplicationEngine, { turns, clock }: { turns: Turns; clock: Clock }): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await engine.run(signal).catch((error: unknown) => {
        if (turns === this.#turns && !isInjected(error)) this.#failure = error;
      });
      await clock.sleep(1000, signal).catch(() => {});
    }
  }

  /** An engine that halted needs a person: nothing here is that bad. */
  #logger(): Logger {
    const logger: Logger = {
      ...silentLogger,
      error: (_, message) => {
        if (!message.startsWith('the copy of a table is halted')) this.#failure = message;
      },
      child: () => logger,
    };
    return logger;
  }
}

function memoryOf({ tightMemory }: Beginning): typeof ROOMY {
  return tightMemory === true ? TIGHT : ROOMY;
}

function seenBeside(slot: Slot): Slot {
  return {
    get confirmed() {
      return slot.confirmed;
    },
    session: 0,
  };
}

function isInjected(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'SLU_S1151';
}

function describe(failure: unknown): string {
  return failure instanceof Error ? (failure.stack ?? failure.message) : JSON.stringify(failure);
}
