/**
 * Random traces through the whole port, played on an adapter and on the in-memory oracle: both must answer alike, at the
 * newest checkpoint and at old ones. `SLUICE_MODEL_RUNS` and `SLUICE_MODEL_SEED` widen or repeat a search.
 */
import type { OpId } from '@sluice/core';
import type { TableState } from '@sluice/storage';
import {
  at,
  bodiesOf,
  type OpenStorage,
  put,
  relationOf,
  remove,
  reduceOps,
  type ToyWrite,
  World,
} from '@sluice/storage/conformance';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openLmdb, openMemory, PostgresStorages } from './storages.ts';

const RUNS = Number(process.env['SLUICE_MODEL_RUNS'] ?? 40);
const SEED = process.env['SLUICE_MODEL_SEED'];
const BUCKETS = ['x', 'y', 'z'];
const LOOKUPS = ['l', 'm'];
const KEYS = ['a', 'b', 'c', 'd', 'e\0', 'é'.repeat(120)];

interface RowPlan {
  readonly key: string;
  readonly from: string | null;
  readonly value: number | null;
  readonly buckets: readonly string[];
  readonly lookups: Readonly<Record<string, string>>;
  readonly partial: boolean;
  readonly isLong: boolean;
}

type Command =
  | {
      readonly kind: 'addTable' | 'stageTable' | 'markAll' | 'settle' | 'purge' | 'crash' | 'look' | 'loseHistory';
    }
  | {
      readonly kind: 'plan' | 'split' | 'publish' | 'markDone' | 'markRequired' | 'erase' | 'removeTable' | 'sweep';
      readonly table: number;
    }
  | { readonly kind: 'flush'; readonly table: number; readonly rows: readonly RowPlan[]; readonly step: number }
  | {
      readonly kind: 'chunk';
      readonly table: number;
      readonly rows: readonly RowPlan[];
      readonly stale: boolean;
      readonly done: boolean;
    }
  | { readonly kind: 'commit'; readonly back: number; readonly createEmpty: boolean };

const row: fc.Arbitrary<RowPlan> = fc.record({
  key: fc.constantFrom(...KEYS),
  from: fc.option(fc.constantFrom(...KEYS), { freq: 5 }),
  value: fc.option(fc.nat(5), { freq: 4 }),
  buckets: fc.subarray(BUCKETS),
  lookups: fc.dictionary(fc.constantFrom(...LOOKUPS), fc.constantFrom('[1]', '[2]'), { maxKeys: 2 }),
  partial: fc.nat(9).map((n) => n === 0),
  isLong: fc.nat(9).map((n) => n === 0),
});

const table = fc.nat(2);
const rows = fc.array(row, { maxLength: 8 });
const always = <T>(value: T) => fc.constant(value);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: always('addTable' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: always('stageTable' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: always('publish' as const), table }) },
  { weight: 2, arbitrary: fc.record({ kind: always('plan' as const), table }) },
  { weight: 2, arbitrary: fc.record({ kind: always('split' as const), table }) },
  { weight: 6, arbitrary: fc.record({ kind: always('flush' as const), table, rows, step: fc.nat(2) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: always('chunk' as const),
      table,
      rows,
      stale: fc.nat(9).map((n) => n === 0),
      done: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: always('commit' as const), back: fc.nat(1), createEmpty: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: always('markDone' as const), table }) },
  { weight: 1, arbitrary: fc.record({ kind: always('markRequired' as const), table }) },
  { weight: 3, arbitrary: fc.record({ kind: always('markAll' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: always('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: always('erase' as const), table }) },
  { weight: 1, arbitrary: fc.record({ kind: always('removeTable' as const), table }) },
  { weight: 1, arbitrary: fc.record({ kind: always('sweep' as const), table }) },
  { weight: 1, arbitrary: fc.record({ kind: always('loseHistory' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: always('purge' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: always('crash' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: always('look' as const) }) },
);

/** Of the first task, where a chunk of it was flushed. */
const HALVES = {
  index: 0,
  range: [0],
  cursor: 'c',
  kept: { range: ['a', 'c'], rowsEstimate: 2, bytesEstimate: 20 },
  given: { range: ['c', 'e'], rowsEstimate: 1, bytesEstimate: 10 },
};

/** Plays commands on one storage. Two players that got the same commands have asked for the same. */
class Player {
  readonly world: World;
  #position = 1;

  constructor(world: World) {
    this.world = world;
  }

  /** @returns what the storage answered; errors by their code, since messages may differ */
  async play(step: Command): Promise<unknown> {
    try {
      return await this.#do(step);
    } catch (error) {
      if (error instanceof Error && 'code' in error) return { code: error.code };
      throw error;
    }
  }

  async #do(step: Command): Promise<unknown> {
    const { world } = this;
    if ('table' in step) return this.#onTable(step, (await world.reader.tables()).at(step.table));
    switch (step.kind) {
      case 'addTable':
        return world.pendingTable();
      case 'stageTable':
        return world.writer.addTable(relationOf('staged'), [0], 'staged');
      case 'markAll':
        return (await world.writer.markAllSnapshotDone(at(this.#position))).map(({ id }) => id);
      case 'settle':
        return this.#settle();
      case 'purge':
        return this.#purge();
      case 'loseHistory':
        return world.loseHistory();
      case 'crash':
        return world.crash();
      case 'look':
        return null;
      case 'commit':
        return world.writer.commit(at(this.#position - step.back), { createEmpty: step.createEmpty });
    }
  }

  async #onTable(step: Extract<Command, { table: number }>, found: TableState | undefined): Promise<unknown> {
    if (found === undefined) return 'no table';
    const { world } = this;
    switch (step.kind) {
      case 'plan':
        return world.plan(found.id, 1);
      case 'split':
        return world.writer.splitTask({ ...HALVES, tableId: found.id, generation: found.generation });
      case 'markDone':
        return world.writer.markTableSnapshotDone(found.id, found.generation, at(this.#position));
      case 'markRequired':
        return world.writer.markTableSnapshotRequired(found.id);
      case 'removeTable':
        return world.writer.removeTable(found.id);
      case 'publish':
        return this.#publish(found);
      case 'erase':
        return this.#erase(found);
      case 'sweep':
        return world.sweep(found);
      case 'flush':
        this.#position += step.step;
        return world.flush(this.#position, ...step.rows.map((plan) => writeOf(found, plan)));
      case 'chunk': {
        const epoch = found.truncateEpoch - (step.stale ? 1 : 0);
        const copied = step.rows.filter(({ value }) => value !== null);
        const writes = copied.map((plan) => writeOf(found, { ...plan, from: null }));
        if (found.plan === null) return 'not planned';
        return world.chunk({ ...found, truncateEpoch: epoch }, writes, { done: step.done, cursor: 'c' });
      }
    }
  }

  /** Ends all copies and commits: without it few random traces get to a checkpoint. */
  async #settle(): Promise<unknown> {
    const { world } = this;
    for (const pending of await world.reader.tables()) {
      if (pending.snapshot === 'done') continue;
      if (pending.plan === null) await world.plan(pending.id);
      await world.finishCopy(pending, this.#position);
    }
    for (const table of await world.reader.tables()) await this.#publish(table);
    await world.writer.markAllSnapshotDone(at(this.#position));
    return world.writer.commit(at(this.#position));
  }

  /** To the end: which rows a limited part takes is the adapter's choice. */
  async #erase(found: TableState): Promise<number> {
    let erased = 0;
    for (;;) {
      const part = await this.world.erase(found.id, this.#position, 2);
      erased += part.erased;
      if (!part.remaining) return erased;
    }
  }

  /** To the end: which rows a limited part takes is the adapter's choice. */
  async #publish({ id }: TableState): Promise<number> {
    let ops = 0;
    let after = null;
    do {
      const part = await this.world.publish(id, 2, after);
      ops += part.ops;
      after = part.next;
    } while (after !== null);
    return ops;
  }

  async #purge(): Promise<void> {
    while ((await this.world.writer.purgeTombstones(2)).remaining);
  }
}

function writeOf(found: TableState, plan: RowPlan): ToyWrite {
  const { key, from, value, buckets, lookups, partial, isLong } = plan;
  const write =
    value === null
      ? remove(found, key)
      : put(found, key, String(value).repeat(isLong ? 3000 : 1), { buckets, lookups, partial });
  return from === null ? write : { ...write, movedFrom: from };
}

/** Everything the storage says of itself; op order inside one erase is the adapter's choice. */
async function pictureOf({ reader }: World, checkpoints: readonly OpId[]) {
  const tables = await reader.tables();
  const partials = tables.map(async ({ id }) => {
    const records = await reader.partialRecords(id, 100);
    return records.map(({ key, record }) => `${key} ${Buffer.from(record).toString()}`).sort();
  });
  return {
    state: await reader.checkpointState(),
    tables,
    // Names of writers are each storage's own.
    tasks: (await reader.tasks()).map((task) => ({ ...task, claimedBy: task.claimedBy !== null })),
    partials: await Promise.all(partials),
    reads: await Promise.all(checkpoints.map((checkpoint) => readsAt(reader, checkpoint))),
  };
}

async function readsAt(reader: World['reader'], checkpoint: OpId) {
  const requests = BUCKETS.map((bucket) => ({ bucket, after: 0 }));
  const chunks = await reader.readOps(checkpoint, requests, { ops: 1e6, bytes: 1e9 });
  return {
    checkpoint,
    sums: await reader.bucketSums(checkpoint, BUCKETS),
    rows: chunks.map((chunk) => [chunk.bucket, reduceOps(bodiesOf(chunk))]),
    ops: chunks.map((chunk) =>
      bodiesOf(chunk)
        .map((body) => Buffer.from(body).toString('latin1'))
        .sort(),
    ),
    lookups: (await reader.lookups(checkpoint, LOOKUPS)).map((values) => [...values].sort()),
  };
}

async function expectSameChanges(adapter: World, oracle: World, checkpoints: readonly OpId[]): Promise<void> {
  for (const after of checkpoints) {
    const upTo = checkpoints.at(-1) ?? 0;
    const said = await adapter.reader.changes(after, upTo);
    const exact = await oracle.reader.changes(after, upTo);
    for (const kind of ['buckets', 'lookups'] as const) {
      const names = said[kind];
      const missed = Array.from(exact[kind]).filter((name) => names !== 'all' && !names.has(name));
      expect(missed).toEqual([]);
    }
  }
}

async function playBoth(open: OpenStorage, commands: readonly Command[]): Promise<void> {
  const adapter = new Player(await World.open(open));
  const oracle = new Player(await World.open(openMemory));
  const checkpoints: OpId[] = [];
  try {
    for (const step of [{ kind: 'addTable' as const }, ...commands, { kind: 'look' as const }]) {
      const expected = await oracle.play(step);
      expect(await adapter.play(step), JSON.stringify(step)).toEqual(expected);
      const { checkpoint } = await oracle.world.reader.checkpointState();
      if (checkpoint !== null && checkpoint.opId !== checkpoints.at(-1)) checkpoints.push(checkpoint.opId);
      if (step.kind !== 'look' && step.kind !== 'crash') continue;
      const recent = checkpoints.slice(-4);
      expect(await pictureOf(adapter.world, recent)).toEqual(await pictureOf(oracle.world, recent));
      await expectSameChanges(adapter.world, oracle.world, recent);
    }
  } finally {
    await adapter.world.close();
  }
}

const postgres = new PostgresStorages();
afterAll(() => postgres.stop());

/** Postgres plays fewer by default: a trace is some hundred transactions. */
test.each([
  ['LMDB', openLmdb, RUNS],
  ['Postgres', postgres.open, Math.ceil(RUNS / 5)],
] as const)(
  '%s answers like the in-memory oracle on random traces',
  async (_, open, numRuns) => {
    const traces = fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60, size: 'max' }), (commands) =>
      playBoth(open, commands),
    );
    await fc.assert(traces, { numRuns, ...(SEED === undefined ? {} : { seed: Number(SEED) }) });
  },
  600_000,
);
