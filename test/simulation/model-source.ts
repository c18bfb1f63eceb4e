/** The source port over a model database. Every delivery waits at a gate that the simulation opens. */
import { nextTurn, type Position, recordKey, type Relation, SluiceError, type StreamEvent } from '@sluice/core';
import type {
  ChangeSource,
  DiscoveredTable,
  OpenedSource,
  PlannedTask,
  ReadPlan,
  ReadTask,
  TaskChunk,
  UnfinishedTask,
} from '@sluice/replication';
import type { DeliveryGate } from '../kit/held-source.ts';
import type { SeededRandom } from '../kit/seeded-random.ts';
import { COLUMNS, eventsOf, type ModelDatabase, rawRow, TABLE_NAMES, type TableName } from './model-database.ts';

/** What survives a crash of the reader: the slot. */
export interface ModelSlot {
  acknowledged: Position;
}

export interface ModelSourceParts {
  readonly database: ModelDatabase;
  readonly slot: ModelSlot;
  readonly random: SeededRandom;
  readonly streamGate: DeliveryGate;
  readonly chunkGate: DeliveryGate;
  readonly readGate: DeliveryGate;
}

type BlockRange = { readonly from: number; readonly to: number | null; readonly relfilenode: number };

export function createModelSource(parts: ModelSourceParts): ChangeSource {
  const { database, slot, random } = parts;
  const relations = new Map(TABLE_NAMES.map((name) => [name, relationOf(name)]));
  return {
    preflight: () => Promise.resolve(),
    open: (saved): Promise<OpenedSource> =>
      Promise.resolve({ saved: { slot: 'model' }, startPosition: slot.acknowledged, created: saved === null }),
    stream: (signal) => stream(parts, relations, signal),
    acknowledge: (position) => {
      if (position > slot.acknowledged) slot.acknowledged = position;
    },
    settle: async (signal) => {
      const until = database.logged;
      while (database.visible < until) {
        signal.throwIfAborted();
        await nextTurn();
      }
    },
    discover: (patterns) =>
      Promise.resolve(
        [...relations.values()]
          .filter((relation) => patterns.some((pattern) => pattern.name === relation.name))
          .map(
            (relation): DiscoveredTable => ({
              relation,
              keyColumns: [0],
              rowsEstimate: 10,
              bytesEstimate: 1000,
              problem: null,
            }),
          ),
      ),
    planTable: (relation) => Promise.resolve(plan(database, random, relation.name as TableName)),
    splitTask: (task) => Promise.resolve(split(random, task)),
    readTask: (request) => readTask(parts, request),
    readRows: async (relation, keyColumns, rows) => {
      await parts.readGate.pass();
      const wanted = new Set(rows.map((row) => recordKey(row, keyColumns)));
      const found = [...database.physical(relation.name as TableName).slots.values()].filter(({ id }) =>
        wanted.has(id),
      );
      return found.map(rawRow);
    },
    head: () => Promise.resolve(database.head),
    marker: () => {
      database.mark();
      return Promise.resolve();
    },
    health: () =>
      Promise.resolve({
        head: database.head,
        acknowledged: slot.acknowledged,
        retainedBytes: null,
        budgetBytes: null,
        status: 'reserved',
        active: true,
      }),
    bytesBetween: () => null,
    teardown: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function relationOf(name: TableName): Relation {
  return {
    sourceId: String(16_384 + TABLE_NAMES.indexOf(name)),
    connectionTag: 'default',
    schema: 'public',
    name,
    replicaIdentity: 'default',
    columns: COLUMNS.map((column) => ({
      name: column,
      type: 'text',
      typeId: 25,
      typeModifier: -1,
      key: column === 'id',
    })),
  };
}

/** Batches end anywhere, in the middle of transactions too; when all is sent, heartbeats. */
async function* stream(
  { database, slot, random, streamGate }: ModelSourceParts,
  relations: ReadonlyMap<string, Relation>,
  signal: AbortSignal,
): AsyncGenerator<readonly StreamEvent[]> {
  let next = database.log.findIndex((transaction) => transaction.position > slot.acknowledged);
  if (next < 0) next = database.log.length;
  let pending: StreamEvent[] = [];
  for (;;) {
    await streamGate.pass(signal);
    const wanted = 1 + random.int(8);
    while (pending.length < wanted && next < database.log.length) {
      const transaction = database.log[next++];
      if (transaction !== undefined) pending.push(...eventsOf(transaction, relations));
    }
    if (pending.length === 0) {
      yield [{ kind: 'heartbeat', position: database.head }];
      await nextTurn();
    } else {
      yield pending.slice(0, wanted);
      pending = pending.slice(wanted);
    }
  }
}

function plan(database: ModelDatabase, random: SeededRandom, name: TableName): ReadPlan {
  const { relfilenode } = database.physical(name);
  const cut = random.int(20);
  const ranges: BlockRange[] = [
    { from: 0, to: cut, relfilenode },
    { from: cut, to: null, relfilenode },
  ];
  const tasks = ranges.map((range) => ({ range, rowsEstimate: 10, bytesEstimate: 1000 }));
  return { hash: `${relfilenode} ${cut}`, strategy: 'blocks', tasks };
}

function split(random: SeededRandom, task: UnfinishedTask): readonly [PlannedTask, PlannedTask] | null {
  const range = task.range as unknown as BlockRange;
  const from = (task.cursor as number | null) ?? range.from;
  const to = range.to ?? from + 10;
  if (to - from < 2) return null;
  const middle = from + 1 + random.int(to - from - 1);
  const part = (blocks: Partial<BlockRange>) => ({
    range: { ...range, ...blocks },
    rowsEstimate: 5,
    bytesEstimate: 500,
  });
  return [part({ to: middle }), part({ from: middle })];
}

async function* readTask(
  { database, random, chunkGate, readGate }: ModelSourceParts,
  { relation, range, cursor, signal }: ReadTask,
): AsyncGenerator<TaskChunk> {
  const { from, to, relfilenode } = range as unknown as BlockRange;
  const table = database.physical(relation.name as TableName);
  let at = (cursor as number | null) ?? from;
  for (;;) {
    await readGate.pass(signal);
    if (table.relfilenode !== relfilenode) throw new SluiceError('SLU_T1205', 'the table was rewritten');
    const highest = Math.max(0, ...table.slots.keys()) + 1;
    const end = Math.min(to ?? Number.MAX_SAFE_INTEGER, at + 1 + random.int(8));
    const rows = [...table.slots].filter(([slot]) => slot >= at && slot < end).map(([, row]) => rawRow(row));
    const last = to === null ? end >= highest : end >= to;
    // Old by the time it is delivered, as chunks are.
    await chunkGate.pass(signal);
    yield { rows, bytes: rows.length * 100, cursor: end, last };
    if (last) return;
    at = end;
  }
}
