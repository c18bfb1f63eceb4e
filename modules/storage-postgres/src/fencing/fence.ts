/**
 * A right to write a stream that may end without its holder's knowledge: every transaction asserts it behind the lock
 * of the stream's row. It is held for a time, by the database's clock, and for as long as the holder's session on the
 * server is there.
 */
import type { SluiceError, StreamId } from '@sluice/core';
import type { Sql, Tx } from '../sql.ts';
import type { StateRow } from '../state-row.ts';

export interface Fence {
  readonly stream: StreamId;
  /** What its holder is called where it claims tasks: unlike any other of the stream. */
  readonly claimant: string;
  /** Inside a transaction, first of all: locks the stream's row. @throws the error of `lost` */
  lock(sql: Sql): Promise<StateRow>;
  /** Without a lock: for what turns out to change nothing. @throws the error of `lost` */
  read(sql: Sql): Promise<StateRow>;
  /** Inside the transaction that locked the row, last of all. Also prolongs the right. */
  write(sql: Tx, next: StateRow): void;
  /** Also tells the server of a new session. @throws the error of `lost` */
  renew(sql: Sql): Promise<void>;
  release(sql: Sql): Promise<void>;
  /** What is said to the holder when it has the right no more. */
  lost(): SluiceError;
}

/** Of the session that asks. */
export const SESSION = '(select backend_start from pg_stat_activity where pid = pg_backend_pid())';

/** @param parameter milliseconds */
export function until(parameter: string): string {
  return `clock_timestamp() + ${parameter} * interval '1 ms'`;
}

/** @param row an alias of what has the columns of a right. Never null. */
export function isLiving(row: string): string {
  return `(${row}.lease_until is not null and ${row}.lease_until > clock_timestamp() and exists (
    select 1 from pg_stat_activity a where a.pid = ${row}.lease_pid and a.backend_start = ${row}.lease_session))`;
}
