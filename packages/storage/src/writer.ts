/**
 * The write side of the port. One writer per stream holds the lease; the stream and all snapshot tasks of a process
 * share it. Writers hold no authoritative state: every method reads what it needs inside its own storage transaction.
 *
 * Calls of `flush`, `commit` and `eraseRows` take effect in the order in which they were made, also when the caller has
 * not awaited the earlier ones. A failed `flush` or `eraseRows` ends the writer: later calls are refused with the same
 * error, so that no commit can publish a position whose rows are missing.
 */
import type { Position, RecordKey, Relation, TableId } from '@sluice/core';
import type { CommitOutcome } from './checkpoint-state.ts';
import type { Effect } from './effect.ts';
import type { Evaluate, RowWrite } from './row-write.ts';
import type { CopyWriter } from './copy-writer.ts';
import type { FlushResult } from './flush-result.ts';
import type { JsonValue, PlannedRange, TablePlan, TableState, TableVisibility } from './table-state.ts';

export interface StreamFlush<W extends RowWrite> {
  readonly writes: readonly W[];
  readonly evaluate: Evaluate<W>;
  /** Boundary of the newest source transaction that has rows in `writes`. */
  readonly boundary: Position;
}

export interface EraseRows {
  readonly tableId: TableId;
  readonly boundary: Position;
  /** At most this many live records in one transaction. */
  readonly limit: number;
  /** The effect of a record's end: removes and ended lookups. */
  readonly erase: (table: TableState, key: RecordKey, record: Uint8Array) => Effect;
}

export interface PublishRows {
  readonly tableId: TableId;
  /** Where the part before this one ended; null at first, and after a restart. */
  readonly after: JsonValue | null;
  /** At most this many live records in one transaction. */
  readonly limit: number;
  /** What a staged record amounts to in buckets; null if there is nothing to write, or it was published before. */
  readonly publish: (table: TableState, key: RecordKey, record: Uint8Array) => Effect | null;
}

export interface PublishedRows {
  /** Null when all rows are published: then the table is `shown`. */
  readonly next: JsonValue | null;
  readonly ops: number;
}

/** What a plan was made for. */
export type PlannedTable = Pick<TableState, 'id' | 'generation'>;

/** A look at some records of a table whose rows have all been read. */
export interface SweepRows {
  readonly tableId: TableId;
  readonly generation: number;
  /** Where an earlier look ended; null to begin. */
  readonly after: JsonValue | null;
  /** At most this many records in one transaction, kept ones included. */
  readonly limit: number;
  /** The effect of a record's end; null keeps it. */
  readonly sweep: (table: TableState, key: RecordKey, record: Uint8Array) => Effect | null;
}

export type SweepResult =
  /** `next`: where to go on; null if all records have been looked at, and the table is confirmed. */
  | { readonly kind: 'swept'; readonly next: JsonValue | null; readonly erased: number }
  /** The table has another generation, or tasks that are not done: nothing was done. */
  | { readonly kind: 'discarded' };

export interface StreamWriter extends CopyWriter {
  /**
   * Makes streamed rows durable: records, ops (ids in commit order), lookups, op frontier and boundary, in one
   * transaction. Not visible to clients until a commit. Rows are applied in order; later ones see earlier ones.
   * Resolves when durable. @throws SLU_R1101 if the lease is lost.
   */
  flush<W extends RowWrite>(flush: StreamFlush<W>): Promise<FlushResult>;

  /** Publishes what is durable, if all gates are open at `position`; one conditional write. Wakes readers. */
  commit(position: Position, options?: { readonly createEmpty?: boolean }): Promise<CommitOutcome>;

  /**
   * A new incarnation of a table: pending, unplanned. Closes the snapshot gate in the same transaction, unless the table
   * is staged; which it can be only beside a checkpoint.
   */
  addTable(
    relation: Relation,
    keyColumns: readonly number[],
    visibility?: Exclude<TableVisibility, 'publishing'>,
  ): Promise<TableState>;
  /** Forgets a table that has no live records left (erase them first). */
  removeTable(tableId: TableId): Promise<void>;
  /**
   * Stores the tasks of a table's generation. Replaces none: planned tables are refused.
   * @returns false if the table has another generation by now, or is gone; nothing changed
   */
  planTable(table: PlannedTable, plan: TablePlan, tasks: readonly PlannedRange[]): Promise<boolean>;
  /** Erases up to `limit` live records of a table and raises its truncate epoch. Call until `remaining` is false. */
  eraseRows(request: EraseRows): Promise<{ readonly remaining: boolean; readonly erased: number }>;

  /**
   * Turns up to `limit` staged records of a copied table into ops, lookups and records with memberships. The first part
   * closes the snapshot gate if it is not the last one, too; the last makes the table `shown` and raises the position
   * boundary to the copy's end. Then `markAllSnapshotDone` opens the gate. A table that is shown is left alone.
   * @throws SLU_T1204 if the table is not copied
   */
  publishRows(request: PublishRows): Promise<PublishedRows>;

  /**
   * The stream goes on at a place that does not follow what it said before: all tables must be copied again, by a copy
   * that compares (`historyLost`), and `source` is kept from now on, in one transaction. Tombstones must be dropped before.
   */
  beginHistory(source: JsonValue): Promise<void>;
  /** Drops up to `limit` tombstones, needed or not: what they say belongs to a history that has ended. */
  dropTombstones(limit: number): Promise<{ readonly remaining: boolean }>;
  /** Ends records that the copy has not met, without tombstones. Call from the beginning until `next` is null. */
  sweepRows(request: SweepRows): Promise<SweepResult>;

  /**
   * All tasks of the table's generation are done, and its records confirmed. `position` was sampled after its last read.
   * @throws SLU_T1204 if not
   */
  markTableSnapshotDone(tableId: TableId, generation: number, position: Position): Promise<void>;
  /**
   * The table must be copied again: new generation, no tasks, snapshot gate closed (unless it is staged).
   * @param widened the table with columns that were added: it begins a new history, its rows are compared, and
   *   its tombstones go: what they were left for is in the copy to come
   */
  markTableSnapshotRequired(tableId: TableId, widened?: Relation): Promise<TableState>;
  /**
   * Opens the snapshot gate, if no table holds it closed (see `holdsCheckpoints`): re-checked in the same transaction.
   * @returns the tables that do; empty if the gate was opened
   */
  markAllSnapshotDone(position: Position): Promise<readonly TableState[]>;

  /** Drops up to `limit` tombstones that no copy can need any more. */
  purgeTombstones(limit: number): Promise<{ readonly remaining: boolean }>;

  /** Keeps what the source must remember (slot, lineage, start), as one JSON document. */
  saveSourceState(state: JsonValue): Promise<void>;
}
