/** What the driver throws, as errors that a person can act on; and which of them may be tried again at once. */
import { SluiceError } from '@sluice/core';
import { DatabaseError } from 'pg';

const LOGIN_STATES = new Set(['28000', '28P01']);
/** The server is going down, starting up, or ended our session. */
const LOST_STATES = new Set(['57P01', '57P02', '57P03', '57P05', '08000', '08003', '08006', '53300', '25P03']);
const CONFLICT_STATES = new Set(['40001', '40P01', '55P03']);
const FULL_STATES = new Set(['53100', '53200']);

/** The SQLSTATE of an error of the server, else null. */
export function sqlState(error: unknown): string | null {
  return error instanceof DatabaseError ? (error.code ?? null) : null;
}

/** Whether the connection is of no more use. */
export function isLost(error: unknown): boolean {
  if (error instanceof SluiceError) return false;
  const state = sqlState(error);
  return state === null ? isOfTheDriver(error) : LOST_STATES.has(state);
}

/** Whether the same transaction may succeed if it is run again at once. */
export function isPassing(error: unknown): boolean {
  return isLost(error) || CONFLICT_STATES.has(sqlState(error) ?? '');
}

/** What sockets and the driver throw; anything else without a state is our own. */
function isOfTheDriver(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // ECONNREFUSED, UNABLE_TO_VERIFY_LEAF_SIGNATURE: of sockets and of TLS.
  if ('code' in error && typeof error.code === 'string' && /^[A-Z][A-Z_]+$/.test(error.code)) return true;
  return /connection|timeout|Client (was|has)|not queryable|socket/i.test(error.message);
}

/** @param where host, port and database, for the person who reads it */
export function storageError(error: unknown, where: string): unknown {
  if (error instanceof SluiceError) return error;
  const state = sqlState(error);
  if (state === null && !isOfTheDriver(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const details = { where, cause: error };
  if (state === null || LOST_STATES.has(state)) return new SluiceError('SLU_T1206', describeNetwork(error), details);
  if (LOGIN_STATES.has(state)) return new SluiceError('SLU_T1208', message, details);
  if (FULL_STATES.has(state)) return new SluiceError('SLU_T1203', message, details);
  if (state === '42P01') return new SluiceError('SLU_T1211', message, details);
  if (state === '3D000') {
    return new SluiceError('SLU_T1206', message, { ...details, hint: 'Create the database, or mend its name.' });
  }
  return new SluiceError('SLU_T1207', `${message} (${state})`, details);
}

function describeNetwork(error: unknown): string {
  // Node groups the attempts on several addresses into an error without a message.
  if (error instanceof AggregateError) return error.errors.map((each: unknown) => String(each)).join('; ');
  const message = error instanceof Error ? error.message : String(error);
  return message === '' ? 'the connection was lost' : message;
}
