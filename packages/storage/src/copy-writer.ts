/**
 * The part of the write side that copies. Beside the stream's writer any number of processes may have one: each claims
 * tasks, reads them, and stores what it has read. None of them can publish (rule R2), and the stream's law does not
 * depend on them: a row that is stored already is left alone, and a chunk that was read under another state of its table
 * is discarded.
 */
import type { FlushResult } from './flush-result.ts';
import type { PackedRows } from './packed-rows.ts';
import type { Evaluate, RowWrite } from './row-write.ts';
import type { ChunkGuard, TaskProgress, TaskRef, TaskSplit, TaskState } from './table-state.ts';

/** Copied rows of an `unconfirmed` table: a live record is passed as the prior, and the function decides. */
export interface ComparedRows<W extends RowWrite> {
  readonly writes: readonly W[];
  readonly evaluate: Evaluate<W>;
}

export interface SnapshotFlush<W extends RowWrite> {
  /** A row that has a record or a tombstone is left alone; `ComparedRows` say what is done to those that have a record. */
  readonly rows: PackedRows | ComparedRows<W>;
  readonly guard: ChunkGuard;
  /** Stored in the same transaction as the rows. */
  readonly progress: TaskProgress;
}

export interface CopyWriter {
  /** Unlike that of any other writer of the stream, living or dead. Says to people who it is. */
  readonly claimant: string;
  /**
   * Has the task for itself from here on, until it is done, released or cut in two, or this writer closes or dies.
   * @returns the task as it is now; null if it is done or gone, or somebody else's who is alive
   */
  claimTask(task: TaskRef): Promise<TaskState | null>;
  /** Lets others claim the task. No-op if it is not claimed by this writer. */
  releaseTask(task: TaskRef): Promise<void>;
  /**
   * Makes copied rows durable: insert if absent, tombstones count as present. Records, ops (ids in commit order), lookups,
   * op frontier and the task's progress in one transaction; the guard and the claim are checked in it, and the chunk is
   * discarded if one of them does not hold.
   * @throws SLU_R1101 or SLU_R1108 if the right to write is lost
   */
  flushSnapshot<W extends RowWrite>(flush: SnapshotFlush<W>): Promise<FlushResult>;
  /**
   * Replaces a task by two, whoever has it, if it still is what and where the split was made for. Nobody has it then.
   * @returns false if it is not; nothing changed
   */
  splitTask(split: TaskSplit): Promise<boolean>;
  /** Gives the right to write back, and everything that was claimed. */
  close(): Promise<void>;
}
