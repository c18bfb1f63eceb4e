/** Errors as clients and operators read them: one JSON shape, whatever went wrong. */
import { asSluiceError, type Logger, SluiceError } from '@sluice/core';
import type { FastifyError } from 'fastify';

export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly status: number;
    readonly description: string;
    readonly details?: string;
    readonly hint?: string;
    readonly severity: 'error';
  };
}

const DESCRIPTIONS: Readonly<Record<string, string>> = { PSYNC_S2001: 'Validation failed' };

export interface ErrorAnswer {
  readonly status: number;
  readonly body: ErrorBody;
}

/** Failures of the HTTP framework keep their status; those with one of their own (too large, wrong media type) their code. */
export function errorAnswer(error: unknown, logger: Logger): ErrorAnswer {
  if (isFrameworkError(error)) return frameworkAnswer(error.code, error.statusCode, error.message);
  const known = asSluiceError(error);
  if (known.code === 'SLU_X0001' || known.code === 'SLU_X0002') {
    logger.error({ code: known.code, err: known.cause ?? known }, `A request failed: ${known.message}`);
    // What an unexpected error says was not written for strangers.
    return answer('PSYNC_S2001', 500, { description: 'Internal error', hint: known.hint });
  }
  const { code, message, hint } = known;
  const description = DESCRIPTIONS[code];
  return answer(
    code,
    known.status,
    description === undefined ? { description: message, hint } : { description, details: message, hint },
  );
}

function answer(
  code: string,
  status: number,
  texts: { description: string; details?: string; hint?: string },
): ErrorAnswer {
  return { status, body: { error: { code, status, severity: 'error', ...texts } } };
}

function frameworkAnswer(code: string, status: number, message: string): ErrorAnswer {
  if (status !== 400) return answer(code, status, { description: message });
  return answer('PSYNC_S2001', 400, { description: 'Validation failed', details: `body: ${message}` });
}

function isFrameworkError(error: unknown): error is FastifyError & { statusCode: number } {
  if (error instanceof SluiceError || !(error instanceof Error)) return false;
  const { statusCode, code } = error as Partial<FastifyError>;
  return typeof code === 'string' && code.startsWith('FST_') && statusCode !== undefined && statusCode < 500;
}
