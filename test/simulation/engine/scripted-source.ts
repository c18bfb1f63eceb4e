/**
 * The source port over the simulated database, with Postgres' habits: relations are described anew in each session and
 * whenever they changed, batches end anywhere, a chunk is old when it arrives, a re-read goes by name. Everything that
 * would be a round trip waits for its turn.
 */
import {
  ByteRows,
  maxPosition,
  type Position,
  recordKey,
  type RawRow,
  type Relation,
  SluiceError,
  type StreamEvent,
} from '@sluice/core';
import {
  type ChangeSource,
  type DiscoveredTable,
  type OpenedSource,
  type PlannedTask,
  READ_OVERSHOOT,
  type ReadPlan,
  type ReadTask,
  type RestartDecision,
  type SourceHealth,
  type StoredReach,
  type TableSelector,
  type TaskChunk,
  type UnfinishedTask,
} from '@sluice/replication';
import type { JsonValue } from '@sluice/storage';
import type { HeldBytes } from './held-bytes.ts';
import { partOf, planOf, splitOf, type Strategy } from './scripted-ranges.ts';
import { positionAt, type SourceDatabase, type Transaction } from './source-database.ts';
import { type Heap, ID, keyOf, rawRow, type Row, type Shape } from './tables.ts';
import type { TurnTaker } from './turns.ts';

/** What survives a crash of the reader. One session holds it at a time. */
export interface Slot {
  confirmed: Position | null;
  session: number;
}

/** How tables are read in a life. */
export interface Reads {
  readonly strategy: Strategy;
  /** Whether chunks are as large as they are asked for; else so large that each is a flush of its own. */
  readonly measured: boolean;
  readonly held: HeldBytes;
}

/** Of chunks that never fill a flush, and of those that always do. */
const SMALL = 100;
const LARGE = 5 << 20;

export class ScriptedSource implements ChangeSource {
  readonly #database: SourceDatabase;
  readonly #slot: Slot;
  readonly #turns: TurnTaker;
  readonly #session: number;
  readonly #reads: Reads;

  constructor(database: SourceDatabase, slot: Slot, { turns, reads }: { turns: TurnTaker; reads: Reads }) {
    this.#reads = reads;
    this.#database = database;
    this.#slot = slot;
    this.#turns = turns;
    this.#session = ++slot.session;
  }

  async preflight(): Promise<void> {}

  async inspect({ saved, ...stored }: StoredReach): Promise<RestartDecision> {
    await this.#turns.take('inspect');
    if (saved === null) return { kind: 'full', reasons: [] };
    const { confirmed } = this.#slot;
    const { durable } = await stored.reached();
    const reached = maxPosition(durable, (saved as { start: Position }).start) ?? '';
    const isWhole = confirmed !== null && confirmed <= reached;
    return { kind: isWhole ? 'continue' : 'reconcile', reasons: [] };
  }

  async open(saved: JsonValue | null): Promise<OpenedSource> {
    await this.#turns.take('open');
    const created = saved === null;
    if (created) {
      this.#slot.confirmed = this.#database.head;
      this.#database.flush();
    }
    const startPosition = this.#slot.confirmed;
    if (startPosition === null) throw new SluiceError('PSYNC_S1146', 'the slot is gone');
    await this.#turns.take('opened');
    return { saved: created ? { start: startPosition } : saved, startPosition, created };
  }

  async *stream(signal: AbortSignal): AsyncIterable<readonly StreamEvent[]> {
    const session = new StreamSession(this.#database, this.#slot.confirmed ?? '');
    while (!signal.aborted) {
      const draw = await this.#turns.take('stream');
      const batch = session.batch(draw);
      if (batch.length > 0) yield batch;
    }
  }

  acknowledge(position: Position): void {
    if (this.#session !== this.#slot.session) return;
    if (position > (this.#slot.confirmed ?? '')) this.#slot.confirmed = position;
  }

  async settle(signal: AbortSignal): Promise<void> {
    await this.#turns.take('settle');
    const inProgress = this.#database.invisible;
    while (inProgress.some(({ visible }) => !visible)) {
      signal.throwIfAborted();
      await this.#turns.take('settle waits');
    }
  }

  async discover(patterns: readonly TableSelector[]): Promise<readonly DiscoveredTable[]> {
    await this.#turns.take('discover');
    const found = this.#database.shapes
      .filter(({ name }) =>
        patterns.some((pattern) => (pattern.wildcard ? name.startsWith(pattern.name) : name === pattern.name)),
      )
      .map((shape) => discovered(shape, this.#database.denied.get(shape.oid) === null));
    await this.#turns.take('discovered');
    return found;
  }

  async planTable(relation: Relation): Promise<ReadPlan> {
    const draw = await this.#turns.take(`plan ${relation.name}`);
    const heap = this.#heapOf(relation);
    if (heap === null) throw new SluiceError('SLU_R1104', `${relation.name} does not exist any more`);
    this.#mayRead(relation, []);
    const plan = planOf(heap, this.#reads.strategy, draw);
    await this.#turns.take(`planned ${relation.name}`);
    return plan;
  }

  async splitTask({ relation, range, cursor }: UnfinishedTask): Promise<readonly [PlannedTask, PlannedTask] | null> {
    return splitOf(range, cursor, await this.#turns.take(`split ${relation.name}`));
  }

  async *readTask(task: ReadTask): AsyncIterable<TaskChunk> {
    const reading = this.#reads.held.reading(task.relation.sourceId);
    try {
      for await (const chunk of this.#chunks(task)) {
        reading.took(chunk.bytes, chunk.cursor);
        yield chunk;
      }
    } finally {
      reading.ended();
    }
  }

  async *#chunks(task: ReadTask): AsyncIterable<TaskChunk> {
    const { relation, range, cursor: stored, signal } = task;
    for (let at = stored; ; ) {
      const draw = await this.#turns.take(`read ${relation.name}`);
      signal.throwIfAborted();
      const { rows, cursor, last } = partOf(this.#heapOf(relation), range, at, draw);
      this.#mayRead(relation, rows);
      const raw = this.#selected(relation, rows);
      const arrival = await this.#turns.take(`chunk of ${relation.name}`);
      const large = this.#reads.measured ? Math.floor(READ_OVERSHOOT * task.chunkBytes) : LARGE;
      const bytes = arrival < 0.5 ? SMALL : large;
      yield { rows: ByteRows.of(raw, relation.columns.length), bytes, cursor, last };
      if (last) return;
      at = cursor;
    }
  }

  /** By schema and name, as the statement says. */
  async readRows(
    relation: Relation,
    keyColumns: readonly number[],
    rows: readonly RawRow[],
  ): Promise<readonly RawRow[]> {
    await this.#turns.take(`re-read ${relation.name}`);
    const shape = this.#database.shapes.find(({ name }) => name === relation.name);
    const heap = shape === undefined ? undefined : this.#database.heaps.get(shape.oid);
    if (heap === undefined) throw new SluiceError('PSYNC_S1120', `${relation.name} does not exist`);
    const keys = rows.map((row) => recordKey(row, keyColumns));
    const found = keys.map((key) => heap.get(key)).filter((row) => row !== undefined);
    this.#mayRead(relation, found);
    const raw = this.#selected(relation, found);
    await this.#turns.take(`re-read of ${relation.name} arrives`);
    return raw;
  }

  async head(): Promise<Position> {
    await this.#turns.take('head');
    const { head } = this.#database;
    await this.#turns.take('head arrives');
    return head;
  }

  async marker(): Promise<void> {
    await this.#turns.take('marker');
    this.#database.grow();
    this.#database.flush();
  }

  async health(): Promise<SourceHealth> {
    const { head } = this.#database;
    const acknowledged = this.#slot.confirmed;
    const budget = { retainedBytes: null, budgetBytes: null, limitBytes: null };
    return { head, acknowledged, ...budget, status: 'reserved', active: true, failure: null };
  }

  bytesBetween(): number | null {
    return null;
  }

  async teardown(): Promise<void> {
    this.#slot.confirmed = null;
  }

  async close(): Promise<void> {}

  /** Null if the relation is gone or has another name. */
  #heapOf({ sourceId, name }: Relation): Heap | null {
    const isThere = this.#database.now.get(sourceId)?.shape.name === name;
    return isThere ? (this.#database.heaps.get(sourceId) ?? null) : null;
  }

  /** @throws SLU_S1125, SLU_S1156 */
  #mayRead({ sourceId, name }: Relation, rows: readonly Row[]): void {
    const key = this.#database.denied.get(sourceId);
    if (key === null) throw new SluiceError('SLU_S1125', `${name} may not be read`);
    if (rows.some((row) => keyOf(row) === key)) throw new SluiceError('SLU_S1156', `row ${key} of ${name} is damaged`);
  }

  /** @throws SLU_R1103 if the table that has the name now lacks a column */
  #selected(relation: Relation, rows: readonly Row[]): readonly RawRow[] {
    const shape = this.#database.shapes.find(({ name }) => name === relation.name);
    const columns = shape?.columns ?? [];
    const filter = shape?.publication.from ?? '';
    const wanted = relation.columns.map(({ name }) => columns.find((column) => column.name === name));
    if (!wanted.every((column) => column !== undefined)) {
      throw new SluiceError('SLU_R1103', `${relation.name} has other columns by now`);
    }
    return rows.filter((row) => keyOf(row) >= filter).map((row) => rawRow({ columns: wanted }, row));
  }
}

function discovered(shape: Shape, isDenied: boolean): DiscoveredTable {
  const { relation, publication } = shape;
  const columns = relation.columns.map((column, at) => ({ ...column, number: shape.columns[at]?.attribute ?? 0 }));
  const problem = problemOf(shape, isDenied);
  return {
    relation: { ...relation, columns },
    keyColumns: problem?.code === 'SLU_S1148' ? [] : [ID],
    rowsEstimate: 10,
    bytesEstimate: 1000,
    published: `version ${publication.version}`,
    problem,
  };
}

function problemOf(
  { relation: { name }, identity, publication }: Shape,
  isDenied: boolean,
): DiscoveredTable['problem'] {
  if (!publication.isPublished)
    return { code: 'SLU_S1153', message: `${name} is not in the publication`, kind: 'unpublished' };
  if (isDenied) return { code: 'SLU_S1125', message: `${name} may not be read`, kind: 'unreadable' };
  if (identity !== 'nothing') return null;
  return { code: 'SLU_S1148', message: `${name} has no replica identity`, kind: 'unidentified' };
}

/** One connection: where it stands in the log, and the relations that it was told of. */
class StreamSession {
  readonly #database: SourceDatabase;
  readonly #described = new Map<string, { readonly as: Relation; readonly relation: Relation }>();
  #next: number;
  #reached: Position;
  #pending: StreamEvent[] = [];

  constructor(database: SourceDatabase, from: Position) {
    this.#database = database;
    const next = database.log.findIndex(({ position }) => position > from);
    this.#next = next < 0 ? database.log.length : next;
    this.#reached = from;
  }

  /** Ends anywhere, in the middle of transactions too. When all is sent, says how far it has read. */
  batch(draw: number): readonly StreamEvent[] {
    const wanted = 1 + Math.floor(draw * 10);
    while (this.#pending.length < wanted) {
      const transaction = this.#database.log[this.#next];
      if (transaction === undefined || transaction.position > this.#database.flushed) break;
      this.#next++;
      this.#reached = transaction.position;
      if (transaction.events.length > 0) this.#pending.push(...this.#eventsOf(transaction));
    }
    if (this.#pending.length > 0) return this.#pending.splice(0, wanted);
    const next = this.#database.log[this.#next];
    // It may have read rows of a transaction whose commit is not flushed yet.
    const read = next === undefined ? this.#database.flushed : positionAt(next.at - 2);
    if (read > this.#reached) this.#reached = read;
    return [{ kind: 'heartbeat', position: this.#reached }];
  }

  #eventsOf({ boundary, position, events }: Transaction): readonly StreamEvent[] {
    return [
      { kind: 'begin', boundary, committedAtMs: 0 },
      ...events.map((event) => this.#withRelations(event)),
      { kind: 'commit', position, committedAtMs: 0 },
    ];
  }

  #withRelations(event: StreamEvent): StreamEvent {
    if (event.kind === 'truncate')
      return { ...event, relations: event.relations.map((relation) => this.#describe(relation)) };
    return 'relation' in event ? { ...event, relation: this.#describe(event.relation) } : event;
  }

  #describe(as: Relation): Relation {
    const known = this.#described.get(as.sourceId);
    if (known?.as === as) return known.relation;
    const relation = { ...as };
    this.#described.set(as.sourceId, { as, relation });
    return relation;
  }
}
