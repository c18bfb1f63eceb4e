/** What the driver throws, as errors that a person can act on. */
import { SluiceError } from '@sluice/core';
import { DatabaseError } from 'pg';

const LOGIN_STATES = new Set(['28000', '28P01']);
/** The server is going down, starting up, or ended our session. */
const LOST_STATES = new Set(['57P01', '57P02', '57P03', '08000', '08003', '08006', '53300']);

/** The SQLSTATE of an error of the server, else null. */
export function sqlState(error: unknown): string | null {
  return error instanceof DatabaseError ? (error.code ?? null) : null;
}

/**
 * @param where the host and database, for the person who reads it
 * @returns PSYNC_S1121 unreachable, SLU_S1122 login refused, SLU_S1124 may not replicate, PSYNC_S1120 anything else
 */
export function sourceError(error: unknown, where: string): SluiceError {
  if (error instanceof SluiceError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const state = sqlState(error);
  const details = { where, cause: error };
  if (state === null) return new SluiceError('PSYNC_S1121', describeNetwork(error, message), details);
  if (LOGIN_STATES.has(state)) return new SluiceError('SLU_S1122', message, details);
  if (LOST_STATES.has(state)) return new SluiceError('PSYNC_S1121', message, details);
  if (state === '3D000') {
    return new SluiceError('PSYNC_S1121', message, { ...details, hint: 'Create the database, or mend its name.' });
  }
  return new SluiceError('PSYNC_S1120', message, details);
}

function describeNetwork(error: unknown, message: string): string {
  // Node groups the attempts on several addresses into an error without a message.
  if (error instanceof AggregateError) return error.errors.map((each: unknown) => String(each)).join('; ');
  return message === '' ? 'the connection was lost' : message;
}
