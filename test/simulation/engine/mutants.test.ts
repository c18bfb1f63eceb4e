/**
 * The simulation is worth as much as what it catches: each rule is taken out of the real code in turn, and some life must
 * end in a violation. Names of rules: docs/decisions/0011-simulation.md.
 */
import { BEFORE_ALL } from '@sluice/core';
import { type ChangeWrite, erase, evaluate, sweep } from '@sluice/replication';
import {
  advance,
  commit,
  decodeRecord,
  encodeRecord,
  guardHolds,
  needsTombstones,
  PackedRows,
  type RowWrite,
  type SnapshotFlush,
  type StreamFlush,
  type StreamWriter,
  whileCopying,
} from '@sluice/storage';
import { expect, test, vi } from 'vitest';
import { ByteBudget } from '../../../packages/replication/src/byte-budget.ts';
import { Publications } from '../../../packages/replication/src/stream/publications.ts';
import type { consequenceOf } from '../../../packages/replication/src/copy/task-failure.ts';
import type { compatibility, isKnownAsFound } from '../../../packages/replication/src/tables/table-binding.ts';
import { TableCatalog } from '../../../packages/replication/src/tables/table-catalog.ts';
import type { Likings } from './choice.ts';
import type { Mutant } from './life.ts';
import { liveBySeed } from './simulate.ts';
import { LONG } from './tables.ts';

type AnyFunction = (...args: never[]) => unknown;

/** Functions of the real code that the mutant under test replaces, by name; each is given the real one first. */
const replaced = vi.hoisted(() => new Map<string, (real: never, ...args: never[]) => unknown>());

/** The module, with every function open to be replaced. */
const replaceable = vi.hoisted(() => async (load: () => Promise<unknown>) => {
  const module = (await load()) as Record<string, unknown>;
  const entries = Object.entries(module).map(([name, value]) => {
    if (typeof value !== 'function' || !/^[a-z]/.test(name)) return [name, value];
    return [
      name,
      (...args: never[]) => {
        const mutant = replaced.get(name);
        return mutant === undefined ? (value as AnyFunction)(...args) : mutant(value as never, ...args);
      },
    ];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
});

vi.mock('../../../packages/storage/src/table-state.ts', replaceable);
vi.mock('../../../packages/storage/src/checkpoint-state.ts', replaceable);
vi.mock('../../../packages/replication/src/rows/evaluate.ts', replaceable);
vi.mock('../../../packages/replication/src/tables/table-binding.ts', replaceable);
vi.mock('../../../packages/replication/src/copy/task-failure.ts', replaceable);

/** A function in place of a real one of that name. */
function code<F extends AnyFunction>(name: string, mutant: (real: F, ...args: Parameters<F>) => ReturnType<F>) {
  return { name, mutant: mutant as unknown as (real: never, ...args: never[]) => unknown };
}

interface Rule extends Mutant {
  readonly code?: ReturnType<typeof code>;
  /** How many lives it may take; default 1,000. */
  readonly lives?: number;
  /** The first life; default 1. Where what is needed is rare, a little before one that has met it. */
  readonly from?: number;
  /** What puts methods of classes out of work, until they are restored. */
  readonly replace?: readonly (() => unknown)[];
  /** Where to look. */
  readonly likings?: Partial<Likings>;
}

function withoutFirst<W extends RowWrite>(rows: SnapshotFlush<W>['rows']): SnapshotFlush<W>['rows'] {
  if (!(rows instanceof PackedRows)) return { ...rows, writes: rows.writes.slice(1) };
  const packed = Array.from({ length: rows.count }, (_, at) => ({ key: rows.key(at), effect: rows.effect(at) }));
  return PackedRows.of(rows.tableId, packed.slice(1));
}

/** Lives in which the slot is lost again and again. */
const LOSING: Partial<Likings> = { losing: 0.01 };

/** The stream soon knows again which tables its rows belong to. */
const KNOWING = { discover: 10, discovered: 10, head: 10, 'head arrives': 10 };

/** Lets a publication be, whatever comes of it. */
async function ignored(publication: Promise<void>): Promise<void> {
  void publication.catch(() => {});
}

/** Lives in which there is little memory for the copy, and flushes are slow. */
const TIGHT: Partial<Likings> = {
  tightMemory: true,
  haste: { 'flushSnapshot starts': 0.02, 'flushSnapshot answers': 0.1 },
};

/** The writer of the process that began last: what is late gets through by it, as if nobody asked who writes. */
const newest = {} as { writer: StreamWriter };

/** The record with other values than a whole row brings: as if what changed were not looked at. */
function forgotten(write: ChangeWrite, prior: Uint8Array | null): Uint8Array | null {
  if (prior === null || write.kind !== 'upsert' || write.row.includes(undefined)) return prior;
  const record = decodeRecord(prior);
  return encodeRecord({ ...record, values: record.values.map((value) => (value === undefined ? value : 'forgotten')) });
}

const rules: Record<string, Rule> = {
  'R1: reads wait for transactions in progress': { source: () => ({ settle: async () => {} }) },
  'R2: only the stream publishes': {
    writer: (writer) => ({
      markTableSnapshotDone: async (id, generation, position) => {
        await writer.markTableSnapshotDone(id, generation, position);
        await writer.markAllSnapshotDone(position);
        await writer.commit(position);
      },
    }),
  },
  'R3: a flush moves the op frontier': {
    code: code<typeof advance>('advance', (real, state, event) => {
      const next = real(state, event);
      return event.kind === 'flushed' && event.boundary === null ? { ...next, keepaliveOp: state.keepaliveOp } : next;
    }),
  },
  'R3: a flush raises the boundary': {
    lives: 3000,
    writer: (writer) => ({ flush: (flush) => writer.flush({ ...flush, boundary: BEFORE_ALL }) }),
  },
  'R4: the end of a copy is sampled behind its last read': {
    writer: (writer) => ({
      markTableSnapshotDone: (id, generation) => writer.markTableSnapshotDone(id, generation, BEFORE_ALL),
      markAllSnapshotDone: () => writer.markAllSnapshotDone(BEFORE_ALL),
    }),
  },
  'R4: the head is where the log is written, not where it is flushed': {
    likings: { flushing: 0.05, revealing: 1, catchingUp: 0.003, writing: 0.1, haste: { 'sleep 20000': 0.001 } },
    source: (source, database) => ({
      head: async () => {
        await source.head();
        return database.flushed;
      },
    }),
  },
  'R4: no checkpoint is older than the last': {
    from: 225,
    code: code<typeof commit>('commit', (real, state, event) => {
      const { checkpoint } = state;
      return real(
        checkpoint === null ? state : { ...state, checkpoint: { ...checkpoint, position: BEFORE_ALL } },
        event,
      );
    }),
  },
  'R6: a copied row does not replace what the stream said': {
    writer: (writer) => ({
      flushSnapshot: async (flush) => {
        const { rows } = flush;
        if (!(rows instanceof PackedRows)) return writer.flushSnapshot(flush);
        const result = await writer.flushSnapshot({ ...flush, rows: new PackedRows(rows.tableId) });
        if (result.kind === 'discarded') return result;
        const writes = Array.from({ length: rows.count }, (_, at) => ({
          tableId: rows.tableId,
          key: rows.key(at),
          at,
        }));
        await writer.flush({ writes, evaluate: ({ at }) => rows.effect(at), boundary: BEFORE_ALL });
        return result;
      },
    }),
  },
  'R6: a delete of an unknown row leaves a tombstone': {
    code: code<typeof evaluate>('evaluate', (real, write, prior, ...rest) =>
      write.kind === 'delete' && prior === null ? null : real(write, prior, ...rest),
    ),
  },
  'R6: deletes leave tombstones': { code: code<typeof needsTombstones>('needsTombstones', () => false) },
  'R7: rows that miss values are completed': {
    code: code<typeof evaluate>('evaluate', (real, ...args) => {
      const effect = real(...args);
      return effect === null ? null : { ...effect, partial: false };
    }),
  },
  'R7: a re-read holds checkpoints until the stream has passed it': {
    from: 220,
    likings: { keys: 6, moving: 0.7, writing: 0.2, haste: { 'sleep 500': 0.01, 'head arrives': 1, stream: 0.05 } },
    writer: (writer) => ({
      flush: (flush) => {
        const isReRead = (flush as unknown as StreamFlush<ChangeWrite>).writes.some(({ kind }) => kind === 'complete');
        return writer.flush(isReRead ? { ...flush, boundary: BEFORE_ALL } : flush);
      },
    }),
  },
  'R7: a re-read does not overwrite what was streamed': {
    likings: { writing: 0.2, haste: { stream: 3, flush: 3, 'head arrives': 0.1 } },
    code: code<typeof evaluate>('evaluate', (real, write, prior, ...rest) => {
      if (write.kind !== 'complete' || prior === null || !decodeRecord(prior).partial)
        return real(write, prior, ...rest);
      const { binding, tableId, key, row } = write;
      return real({ kind: 'upsert', binding, tableId, key, row, boundary: null, replayed: false }, prior, ...rest);
    }),
  },
  'R7: copied values do not travel with a moved row': {
    likings: { keys: 6, moving: 0.7, writing: 0.2, haste: { stream: 0.05 } },
    code: code<typeof evaluate>('evaluate', (real, write, prior, moved, table) =>
      real(write, prior, moved, { ...table, endPosition: BEFORE_ALL }),
    ),
  },
  'R8: a chunk from before a truncate is discarded': {
    likings: {
      strategy: 'keys',
      keys: 80,
      truncating: 0.05,
      writing: 0.05,
      failing: 0,
      crashing: 0,
      haste: { 'flushSnapshot starts': 0.03, stream: 3 },
    },
    code: code<typeof guardHolds>('guardHolds', (real, guard, table) =>
      real(table === undefined ? guard : { ...guard, truncateEpoch: table.truncateEpoch }, table),
    ),
  },
  'R9: a cursor is stored with its rows': {
    writer: (writer) => ({
      flushSnapshot: (flush) => writer.flushSnapshot({ ...flush, rows: withoutFirst(flush.rows) }),
    }),
  },
  'R5: rows of a staged table are stored aside': {
    from: 100,
    likings: { defining: 0.3 },
    code: code<typeof evaluate>('evaluate', (real, write, prior, moved, table) =>
      real(write, prior, moved, { ...table, visibility: 'shown' }),
    ),
  },
  'R10: the gate is closed while a table is pending': {
    likings: { defining: 0.3 },
    code: code<typeof whileCopying>('whileCopying', (_real, state) => state),
  },
  'R13: a table is known by its identity, not by its name': {
    likings: { defining: 0.3 },
    code: code<typeof compatibility>('compatibility', (_real, stored, relation) =>
      stored.relation.name === relation.name ? 'same' : 'different',
    ),
  },
  'a row that came back after its table was widened is copied': {
    likings: { defining: 0.3 },
    code: code<typeof evaluate>('evaluate', (real, write, prior, moved, table) => {
      const { found: _, ...relation } = table.relation;
      return real(write, prior, moved, { ...table, relation });
    }),
  },
  'columns that are added are looked for': {
    likings: { defining: 0.3 },
    source: (source) => ({
      discover: async (patterns) => {
        const found = await source.discover(patterns);
        return found.map((table) => ({
          ...table,
          relation: { ...table.relation, columns: table.relation.columns.slice(0, LONG + 1) },
        }));
      },
    }),
  },
  'a table that has lost its identity can be read all the same': {
    likings: { defining: 0.3 },
    source: (source) => ({
      discover: async (patterns) => {
        const found = await source.discover(patterns);
        return found.map((table) =>
          table.problem === null ? table : { ...table, problem: { ...table.problem, kind: 'unreadable' } },
        );
      },
    }),
  },
  'R11: what was sent is not acknowledged before it is durable': {
    from: 70,
    likings: { losing: 0 },
    source: (source) => ({
      // A slot that is ahead of storage would be noticed at the next start, and mended.
      inspect: async (stored) => ({ kind: stored.saved === null ? 'full' : 'continue', reasons: [] }),
      stream: async function* (signal) {
        for await (const batch of source.stream(signal)) {
          for (const event of batch) if (event.kind === 'commit') source.acknowledge(event.position);
          yield batch;
        }
      },
    }),
  },
  'R12: who was taken over from writes no more': {
    from: 150,
    likings: { takingOver: 0.01, crashing: 0, writing: 0.15, keys: 8, steps: 800, haste: KNOWING },
    writer: (writer) => {
      newest.writer = writer;
      return {
        flush: (flush) => newest.writer.flush(flush),
        flushSnapshot: (flush) => newest.writer.flushSnapshot(flush),
        commit: (...commit) => newest.writer.commit(...commit),
        eraseRows: (request) => newest.writer.eraseRows(request),
        markTableSnapshotDone: (...done) => newest.writer.markTableSnapshotDone(...done),
        markAllSnapshotDone: (position) => newest.writer.markAllSnapshotDone(position),
      };
    },
  },
  'R14: a replayed transaction does not trust newer records': {
    from: 355,
    likings: {
      keys: 6,
      moving: 0.7,
      crashing: 0.02,
      writing: 0.1,
      haste: { ...KNOWING, 'commit starts': 0.05, 'flush answers': 0.1 },
    },
    code: code<typeof evaluate>('evaluate', (real, write, ...rest) =>
      real(write.kind === 'upsert' ? { ...write, replayed: false } : write, ...rest),
    ),
  },
  'history: a slot that was made anew is noticed': {
    likings: LOSING,
    source: (source) => ({
      inspect: async (stored) => {
        const decision = await source.inspect(stored);
        if (decision.kind !== 'reconcile') return decision;
        await source.open(null);
        return { kind: 'continue', reasons: [] };
      },
    }),
  },
  'history: older records do not count as known': {
    likings: LOSING,
    code: code<typeof evaluate>('evaluate', (real, write, prior, moved, table) => {
      const restamped = prior === null ? null : encodeRecord({ ...decodeRecord(prior), history: table.history });
      return real(write, restamped, moved, table);
    }),
  },
  'history: what a copy did not meet is swept': {
    likings: LOSING,
    writer: (writer) => ({ sweepRows: (request) => writer.sweepRows({ ...request, sweep: () => null }) }),
  },
  'history: what was met is not swept': {
    likings: LOSING,
    code: code<typeof sweep>('sweep', (_, table, key, record) => erase(table.id, key, record)),
  },
  'history: tombstones end with it': {
    likings: { ...LOSING, writing: 0.2, losing: 0.02 },
    writer: () => ({ dropTombstones: async () => ({ remaining: false }) }),
  },
  'R16: copies wait for their share of one budget': {
    likings: TIGHT,
    replace: [
      () => vi.spyOn(ByteBudget.prototype, 'take').mockResolvedValue(),
      () => vi.spyOn(ByteBudget.prototype, 'give').mockReturnValue(),
    ],
  },
  'R16: a part of the budget is reserved for the stream': { likings: TIGHT, limits: { streamReservedBytes: 0 } },
  'R16: a large transaction is flushed in parts': {
    likings: { writing: 0.2 },
    limits: { streamFlushBytesMax: Number.MAX_SAFE_INTEGER },
  },
  'R16: the stream waits for its own flushes': {
    from: 170,
    likings: { writing: 0.3, inserting: 0.85, keys: 900, haste: { 'flush starts': 0.002, stream: 10 } },
    replace: [() => vi.spyOn(Publications.prototype, 'add').mockImplementation(ignored)],
  },
  'R17: a row that did not change is not told again': {
    code: code<typeof evaluate>('evaluate', (real, write, prior, ...rest) =>
      real(write, forgotten(write, prior), ...rest),
    ),
  },
  'R17: what clients hold from an older history is not told again': {
    likings: LOSING,
    code: code<typeof evaluate>('evaluate', (real, write, prior, moved, table) => {
      const isOlder = prior !== null && decodeRecord(prior).history !== table.history;
      return real(write, isOlder ? forgotten(write, prior) : prior, moved, table);
    }),
  },
  'a table that was published anew is copied anew before rows of it are written': {
    from: 1101,
    likings: { publishing: 0.3, writing: 0.1, keys: 8, haste: { ...KNOWING, 'sleep 3000': 0.001, stream: 5 } },
    code: code<typeof isKnownAsFound>('isKnownAsFound', () => true),
  },
  'a copy ends when its table is still what it was read of': {
    from: 375,
    likings: { publishing: 0.3, writing: 0.1 },
    replace: [() => vi.spyOn(TableCatalog.prototype, 'confirm').mockResolvedValue(true)],
  },
  'a table that cannot be read is set aside, and the others go on': {
    likings: { denying: 0.02 },
    code: code<typeof consequenceOf>('consequenceOf', (real, ...args) =>
      real(...args) === 'quarantine' ? 'attempt' : real(...args),
    ),
  },
  'a removed row is removed once': {
    code: code<typeof erase>('erase', (real, ...args) => {
      const effect = real(...args);
      return { ...effect, ops: [...effect.ops, ...effect.ops] };
    }),
  },
};

for (const [name, rule] of Object.entries(rules)) {
  const { lives = 1000, from = 1, code: changed, replace = [], likings: liked, ...mutant } = rule;
  test(`without: ${name}`, { timeout: 900_000 }, async () => {
    const likings = {
      defining: 0,
      takingOver: 0,
      copier: false,
      controlling: 0,
      publishing: 0,
      denying: 0,
      tightMemory: false,
      ...liked,
    };
    if (changed !== undefined) replaced.set(changed.name, changed.mutant);
    for (const each of replace) each();
    let seed = from - 1;
    let caught: string | null = null;
    try {
      while (caught === null && seed < from + lives)
        caught = (await liveBySeed({ seed: ++seed, likings, mutant })).violation;
    } finally {
      replaced.clear();
      vi.restoreAllMocks();
    }
    if (process.env['SLUICE_SIM_SHOW'] !== undefined) console.log(`${name}\n  life ${seed}: ${caught}`);
    expect(caught).not.toBeNull();
    // It was the rule that was missing.
    expect((await liveBySeed({ seed, likings })).violation).toBeNull();
  });
}
