/** One error class for everything a person may have to act on. Codes and remedies live in `error-codes.ts`. */
import { type ErrorCode, errorCodes } from './error-codes.ts';

/**
 * What the supervisor does with it: `retry` after back-off, `stop` until a person acts, `reject` the one request or
 * document that caused it.
 */
export type ErrorAction = 'retry' | 'stop' | 'reject';

export interface ErrorDetails {
  /** The place: a file with line and column, a table, a connection. Never a secret. */
  readonly where?: string;
  /** Replaces the code's general remedy where a more precise one is known. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class SluiceError extends Error {
  readonly code: ErrorCode;
  readonly action: ErrorAction;
  readonly hint: string;
  readonly where: string | undefined;
  /** HTTP status if the error reaches a client or an operator over HTTP. */
  readonly status: number;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'SluiceError';
    this.code = code;
    const entry = errorCodes[code];
    this.action = entry.action;
    this.status = entry.status;
    this.hint = details.hint ?? entry.hint;
    this.where = details.where;
  }

  /** One paragraph for a terminal: code, place, what is wrong, what to do. */
  describe(): string {
    const place = this.where === undefined ? '' : `${this.where}: `;
    return `[${this.code}] ${place}${this.message}\n  → ${this.hint}`;
  }
}

/** Wraps anything thrown that is not ours, so that nothing uncoded leaves a package. */
export function asSluiceError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new SluiceError('SLU_X0002', message, { cause: error });
}
