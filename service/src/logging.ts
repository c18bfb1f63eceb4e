/** The root logger: JSON lines on stderr, secrets struck out. */
import { type Logger, type LogFields, SluiceError } from '@sluice/core';
import { pino } from 'pino';

const SECRETS = ['password', 'token', 'authorization', 'uri', 'secret', 'k', 'cookie'];

/** @param sink where lines go, each with its end; default standard error */
export function createLogger(
  level: 'debug' | 'info' | 'warn' | 'error',
  sink: { write(line: string): void } | null = null,
): Logger {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const root = pino(
    {
      level,
      redact: { paths, censor: '[redacted]' },
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields, error: errorFields },
    },
    sink ?? pino.destination({ fd: 2, sync: false }),
  );
  return adapt(root);
}

type Target = Pick<ReturnType<typeof pino>, 'debug' | 'info' | 'warn' | 'error'> & {
  child(fields: LogFields): Target;
};

function adapt(target: Target): Logger {
  return {
    debug: (fields, message) => target.debug(fields, message),
    info: (fields, message) => target.info(fields, message),
    warn: (fields, message) => target.warn(fields, message),
    error: (fields, message) => target.error(fields, message),
    child: (fields) => adapt(target.child(fields)),
  };
}

/** Stack traces are for errors that nobody foresaw. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof SluiceError) return { code: error.code, message: error.message, where: error.where };
  const { name, message, stack } = error;
  return { name, message, stack };
}
