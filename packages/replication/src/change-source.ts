/**
 * The source port. A source knows one database: it finds tables, reads ranges of them, streams changes and is told what
 * is durable. It knows nothing of rules, buckets or storage. Positions are opaque and ordered (core/position.ts).
 *
 * Order of calls: `preflight` → `inspect` → `open` → (`stream` at once, and beside it) `settle` → `discover` →
 * `planTable` → `readTask` … Reads may run in parallel with each other and with the stream.
 */
import type { ByteRows, Position, RawRow, Relation, SluiceError, StreamEvent } from '@sluice/core';
import type { JsonValue } from '@sluice/storage';

export interface ChangeSource {
  /** Checks everything a person can have got wrong. @throws SluiceError with a code per problem, the gravest first. */
  preflight(): Promise<void>;

  /**
   * Decides how replication may go on from what is stored. Writes nothing anywhere.
   * @throws SLU_S1150, SLU_S1158 or SLU_S1157 if it must not
   */
  inspect(stored: StoredReach): Promise<RestartDecision>;

  /**
   * Makes or finds what the stream resumes from (Postgres: a replication slot).
   * @param saved what an earlier `open` returned, to go on from it; null to begin anew, over whatever is left of it
   * @throws SLU_S1147 if it is in use
   */
  open(saved: JsonValue | null): Promise<OpenedSource>;

  /**
   * Changes since the acknowledged position, in batches as they came off the wire; within a batch and over batches the
   * order of `StreamEvent`. One consumer. Ends when the signal aborts; throws a retryable SluiceError when it breaks off.
   * Pulling slowly slows the source down.
   */
  stream(signal: AbortSignal): AsyncIterable<readonly StreamEvent[]>;

  /** Everything up to `position` is durable in storage. Cheap, never goes back, also called while the source is idle. */
  acknowledge(position: Position): void;

  /** Resolves when every transaction that was in progress at the call has ended: then what they wrote is visible to reads. */
  settle(signal: AbortSignal): Promise<void>;

  /** Tables that match, with their row identity. Tables that cannot be replicated come with the reason. */
  discover(patterns: readonly TableSelector[]): Promise<readonly DiscoveredTable[]>;

  /** Cuts a table into ranges that tile it, from statistics; never counts rows. */
  planTable(relation: Relation): Promise<ReadPlan>;

  /**
   * Cuts what a task has not read yet in two, each about as large: the task keeps the first part.
   * @returns null if what is left is too small, or where its middle is cannot be told
   */
  splitTask(task: UnfinishedTask): Promise<readonly [kept: PlannedTask, given: PlannedTask] | null>;

  /**
   * Reads one range from its cursor on, in short transactions; chunks of about `chunkBytes` source bytes, and of
   * `READ_OVERSHOOT` times as many at most, but for their last row.
   */
  readTask(request: ReadTask): AsyncIterable<TaskChunk>;

  /** Reads single rows by key, complete, as they are now; rows that are gone are left out. Same order of columns. */
  readRows(relation: Relation, keyColumns: readonly number[], rows: readonly RawRow[]): Promise<readonly RawRow[]>;

  /** Where the source's history ends now (Postgres: WAL insert location): at or behind everything that reads can see. */
  head(): Promise<Position>;

  /** Puts a marker into the source's history, so that an idle source soon streams a position ≥ the head of before. */
  marker(): Promise<void>;

  /** For operators; cheap enough for every few seconds. */
  health(): Promise<SourceHealth>;

  /** Distance between two positions, where the source can tell; for lag. */
  bytesBetween(from: Position, to: Position): number | null;

  /** Gives up what `open` made, for good. Idempotent; works without a running stream. */
  teardown(saved: JsonValue | null): Promise<void>;

  close(): Promise<void>;
}

/** What storage knows of how far it has come. */
export interface StoredReach {
  /** What an earlier `open` returned; null at the first start of a stream. */
  readonly saved: JsonValue | null;
  /** Whether an operator wants all rows compared. */
  readonly asked: boolean;
  /**
   * Asked behind the look at what the source keeps for us, and before that at where its history ends: storage may go on
   * meanwhile, and is never behind the one, nor ahead of the other.
   */
  reached(): Promise<Reached>;
}

export interface Reached {
  /** Everything up to here is durable; null before the first commit. */
  readonly durable: Position | null;
  /** Nothing that is stored was read behind this position. */
  readonly newest: Position | null;
}

/**
 * `full`: a first copy. `continue`: the stream goes on. `partial`: it goes on at a server that took over. `reconcile`:
 * changes are missing between what is stored and what can be streamed: a new start, and all rows are compared.
 */
export interface RestartDecision {
  readonly kind: 'full' | 'continue' | 'partial' | 'reconcile';
  readonly reasons: readonly string[];
}

export interface OpenedSource {
  /** To be stored and passed to the next `open`. */
  readonly saved: JsonValue;
  /** T0: the stream delivers every transaction that commits after it. */
  readonly startPosition: Position;
  readonly created: boolean;
}

/** `name` without the trailing `%` if `wildcard`. */
export interface TableSelector {
  readonly connectionTag: string;
  readonly schema: string;
  readonly name: string;
  readonly wildcard: boolean;
}

export interface DiscoveredTable {
  readonly relation: Relation;
  /** Positions of the record key's columns, in key order. */
  readonly keyColumns: readonly number[];
  readonly rowsEstimate: number;
  readonly bytesEstimate: number;
  /** What of the table is sent, in the source's own words: if they change, changes may have been left out between. */
  readonly published?: string;
  /** Why it cannot be replicated (not published, no identity, no privilege); null if it can. */
  readonly problem: TableObstacle | null;
}

interface TableObstacle {
  readonly code: string;
  readonly message: string;
  /**
   * `unpublished`: its changes are not in the source's history (any more), so what was stored of it cannot be kept up.
   * `unreadable`: its rows cannot be read, or not all of them. `unidentified`: its rows can be read and new ones come, but
   * nothing tells which row a change is of.
   */
  readonly kind: 'unpublished' | 'unreadable' | 'unidentified';
}

export interface ReadPlan {
  /** Of everything the plan was made from: the same table with the same statistics is planned the same. */
  readonly hash: string;
  readonly strategy: string;
  readonly tasks: readonly PlannedTask[];
}

export interface UnfinishedTask {
  readonly relation: Relation;
  readonly range: JsonValue;
  readonly cursor: JsonValue | null;
  readonly rowsEstimate: number;
  readonly bytesEstimate: number;
}

export interface PlannedTask {
  readonly range: JsonValue;
  readonly rowsEstimate: number;
  readonly bytesEstimate: number;
}

/** How much larger than it was asked for a chunk may be, if rows are larger than they were expected to be. */
export const READ_OVERSHOOT = 1.5;

export interface ReadTask {
  readonly relation: Relation;
  readonly range: JsonValue;
  readonly cursor: JsonValue | null;
  /** May change while the task is read: looked at before each statement. */
  readonly chunkBytes: number;
  readonly signal: AbortSignal;
}

export interface TaskChunk {
  /** Valid until the next chunk is asked for. */
  readonly rows: ByteRows;
  /** Source bytes of the rows. */
  readonly bytes: number;
  /** Where a later read goes on after this chunk. */
  readonly cursor: JsonValue;
  /** Whether the range ends with this chunk. An empty range yields one empty chunk with `last`. */
  readonly last: boolean;
}

export interface SourceHealth {
  readonly head: Position;
  /** Highest position the source knows to be durable here; null if unknown. */
  readonly acknowledged: Position | null;
  /** History the source keeps for us, in bytes; null if unknown. */
  readonly retainedBytes: number | null;
  /** Bytes until the source gives our history up; null if unlimited or unknown. */
  readonly budgetBytes: number | null;
  /** Postgres: `pg_replication_slots.wal_status` and whether a connection holds the slot. */
  readonly status: string;
  readonly active: boolean;
  /** All the bytes that the source would keep for us; null if unlimited or unknown. */
  readonly limitBytes: number | null;
  /** Why the stream cannot go on, as soon as that is known; null if it can. */
  readonly failure: SluiceError | null;
}
