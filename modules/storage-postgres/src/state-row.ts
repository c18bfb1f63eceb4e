/**
 * The one row that every write of a stream locks until it commits: the checkpoint state and counters; and who may write
 * all of the stream.
 */
import { type OpId, SluiceError, type StreamId } from '@sluice/core';
import type { CheckpointState } from '@sluice/storage';
import type { Names } from './names.ts';
import type { Sql } from './sql.ts';

/** Numbers that are given out or counted per stream. */
export interface Counters {
  readonly tables: number;
  /** Entries of the change log, and the newest op of those that were dropped. */
  readonly changes: number;
  readonly changesDroppedUpTo: OpId;
  /** Rises with everything that another than the stream's writer stores. */
  readonly copies: number;
}

export const noCounters: Counters = { tables: 0, changes: 0, changesDroppedUpTo: 0, copies: 0 };

/** As a transaction finds it behind its lock. */
export interface StateRow {
  readonly state: CheckpointState;
  readonly counters: Counters;
  /** Number of the last transaction of the same writer. */
  readonly seq: number;
}

export interface StoredState {
  readonly state: string;
  readonly counters: string;
}

export function streamDropped(stream: StreamId): SluiceError {
  return new SluiceError('SLU_T1211', `stream ${stream} was dropped`);
}

export function stateRowOf({ state, counters }: StoredState, seq: number): StateRow {
  return { state: JSON.parse(state) as CheckpointState, counters: countersOf(counters), seq };
}

function countersOf(document: string): Counters {
  return { ...noCounters, ...(JSON.parse(document) as Partial<Counters>) };
}

/** Without a lock: what was loaded after it is still so where this still is the same. */
export async function readCopies(sql: Sql, names: Names, stream: StreamId): Promise<number> {
  const [row] = await sql.rows<StoredState>(`select counters from ${names.states} where id = $1`, [stream]);
  if (row === undefined) throw streamDropped(stream);
  return countersOf(row.counters).copies;
}

/** For readers. */
export async function readCheckpointState(sql: Sql, names: Names, stream: StreamId): Promise<CheckpointState> {
  const [row] = await sql.rows<StoredState>(`select state from ${names.states} where id = $1`, [stream]);
  if (row === undefined) throw streamDropped(stream);
  return JSON.parse(row.state) as CheckpointState;
}
