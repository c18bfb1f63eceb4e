/** What a failure of one task or of one plan means for the rest of the copy. */
import { asSluiceError, type ErrorCode, type SluiceError } from '@sluice/core';

export type Consequence =
  /** Passes by itself: this task is tried again, from its stored cursor. */
  | 'retry'
  /** Concerns this table and does not pass: the others go on, a person is told. */
  | 'quarantine'
  /** Concerns everyone (the storage, the lease, ourselves), or needs a new look at the tables: the attempt ends. */
  | 'attempt';

const PASSING: ReadonlySet<ErrorCode> = new Set(['PSYNC_S1120', 'PSYNC_S1121', 'SLU_S1122', 'SLU_S1151']);
const LASTING: ReadonlySet<ErrorCode> = new Set(['SLU_S1125', 'PSYNC_S1145', 'SLU_S1155', 'SLU_S1156', 'SLU_R1105']);

/** A query that fails this often without a row in between does not fail by chance. */
const QUERY_FAILURES_MAX = 6;

/** @param failures in a row, this one included, without progress in between */
export function consequenceOf(error: SluiceError, failures: number): Consequence {
  if (LASTING.has(error.code)) return 'quarantine';
  if (!PASSING.has(error.code)) return 'attempt';
  return error.code === 'PSYNC_S1120' && failures >= QUERY_FAILURES_MAX ? 'quarantine' : 'retry';
}

/** A failure while the source was asked, told apart from those of the storage and of ourselves. */
export class ReadFailure extends Error {
  readonly reason: SluiceError;

  constructor(error: unknown) {
    const reason = asSluiceError(error);
    super(reason.message, { cause: error });
    this.name = 'ReadFailure';
    this.reason = reason;
  }
}
