/**
 * The one row that every write of a stream locks until it commits: the checkpoint state, who may write, and the number
 * of the last transaction, by which a commit whose answer was lost is told from one that never happened.
 */
import { type OpId, SluiceError, type StreamId } from '@sluice/core';
import type { CheckpointState } from '@sluice/storage';
import type { Names } from './names.ts';
import type { Sql, Tx } from './sql.ts';

/** Numbers that are given out or counted per stream. */
export interface Counters {
  readonly tables: number;
  /** Entries of the change log, and the newest op of those that were dropped. */
  readonly changes: number;
  readonly changesDroppedUpTo: OpId;
}

export const noCounters: Counters = { tables: 0, changes: 0, changesDroppedUpTo: 0 };

export interface StateRow {
  readonly state: CheckpointState;
  readonly counters: Counters;
  readonly seq: number;
  readonly token: number;
}

interface Stored {
  readonly state: string;
  readonly counters: string;
  readonly seq: number;
  readonly lease_token: number;
  readonly lease_owner: string | null;
}

const COLUMNS = 'state, counters, seq, lease_token, lease_owner';

/** Inside a transaction, first of all. @throws SLU_R1101 if the lease is another's by now */
export async function lockStateRow(sql: Sql, names: Names, of: Holding): Promise<StateRow> {
  const rows = await sql.rows<Stored>(`select ${COLUMNS} from ${names.states} where id = $1 for update`, [of.stream]);
  return assertHeld(rows[0], of);
}

/** Without a lock: for what turns out to change nothing. @throws SLU_R1101 */
export async function readStateRow(sql: Sql, names: Names, of: Holding): Promise<StateRow> {
  const rows = await sql.rows<Stored>(`select ${COLUMNS} from ${names.states} where id = $1`, [of.stream]);
  return assertHeld(rows[0], of);
}

export interface Holding {
  readonly stream: StreamId;
  readonly token: number;
}

function assertHeld(row: Stored | undefined, { stream, token }: Holding): StateRow {
  if (row === undefined) throw new SluiceError('SLU_T1211', `stream ${stream} was dropped`);
  if (row.lease_token !== token || row.lease_owner === null) {
    throw new SluiceError(
      'SLU_R1101',
      `stream ${stream}: the lease has token ${row.lease_token}, this writer has ${token}`,
    );
  }
  return {
    state: JSON.parse(row.state) as CheckpointState,
    counters: JSON.parse(row.counters) as Counters,
    seq: row.seq,
    token: row.lease_token,
  };
}

/** Inside the transaction that locked the row, last of all. Prolongs the lease. */
export function writeStateRow(
  sql: Tx,
  names: Names,
  at: Holding & { readonly leaseMs: number; readonly next: StateRow },
): void {
  const { next } = at;
  sql.send(
    `update ${names.states} set state = $3, counters = $4, seq = $5,
       lease_until = clock_timestamp() + $6 * interval '1 ms'
     where id = $1 and lease_token = $2`,
    [at.stream, at.token, JSON.stringify(next.state), JSON.stringify(next.counters), next.seq, at.leaseMs],
  );
}

/** For readers. */
export async function readCheckpointState(sql: Sql, names: Names, stream: StreamId): Promise<CheckpointState> {
  const [row] = await sql.rows<{ state: string }>(`select state from ${names.states} where id = $1`, [stream]);
  if (row === undefined) throw new SluiceError('SLU_T1211', `stream ${stream} was dropped`);
  return JSON.parse(row.state) as CheckpointState;
}
