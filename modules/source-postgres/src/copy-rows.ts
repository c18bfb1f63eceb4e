/** Reads the rows of one query with COPY, in a statement of its own, in parts; says in our words what went wrong. */
import { type Clock, type Relation, SluiceError } from '@sluice/core';
import { READ_OVERSHOOT } from '@sluice/replication';
import { type CopiedPart, CopyOut } from './copy-out.ts';
import type { CopyTextParser } from './copy-text.ts';
import type { Database } from './database.ts';
import { sourceError, sqlState } from './errors.ts';
import { tableChanged } from './plan.ts';
import { qualifiedName } from './quote.ts';

export interface ReadContext {
  readonly database: Database;
  readonly publication: string;
  readonly clock: Clock;
  readonly readDeadlineMs: number;
}

export interface CopyRequest {
  readonly relation: Relation;
  /** One for all statements of a task: its memory is used again. */
  readonly parser: CopyTextParser;
  readonly select: string;
  readonly chunkBytes: number;
  readonly signal: AbortSignal;
}

export async function* copyRows(context: ReadContext, request: CopyRequest): AsyncGenerator<CopiedPart, void> {
  const { database } = context;
  const { relation, signal, chunkBytes } = request;
  const { client, release } = await database.lease();
  const text = `copy (${request.select}) to stdout`;
  const copy = new CopyOut({ text, parser: request.parser, onData: () => watchdog.fed() });
  const watchdog = new Watchdog(context, (error) => copy.fail(error));
  const abort = () => copy.fail(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let complete = false;
  try {
    client.query(copy);
    while (!complete) {
      watchdog.fed();
      // Statements aim below the size of a chunk, and are split well above it: a split holds the table's lock meanwhile.
      const part = await copy.next(READ_OVERSHOOT * chunkBytes);
      watchdog.pause();
      complete = part.last;
      yield part;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw explainCopyError(error, relation, database.where);
  } finally {
    watchdog.pause();
    signal.removeEventListener('abort', abort);
    // A connection in the middle of a COPY is of no use to anyone.
    release(complete);
  }
}

/** Gives a read up if the server has sent nothing for too long; the network may have swallowed it. */
class Watchdog {
  readonly #context: ReadContext;
  readonly #bite: (error: SluiceError) => void;
  #cancel: () => void = () => undefined;

  constructor(context: ReadContext, bite: (error: SluiceError) => void) {
    this.#context = context;
    this.#bite = bite;
    this.fed();
  }

  fed(): void {
    this.#cancel();
    const { clock, readDeadlineMs, database } = this.#context;
    this.#cancel = clock.timer(readDeadlineMs, () => {
      const seconds = Math.round(readDeadlineMs / 1000);
      this.#bite(new SluiceError('SLU_S1151', `a copy got nothing for ${seconds} s`, { where: database.where }));
    });
  }

  pause(): void {
    this.#cancel();
  }
}

/** Damaged data, and values that the server itself cannot write as text: reading them again does not help. */
const DAMAGED = /^(?:22|XX00[12])/;

function explainCopyError(error: unknown, relation: Relation, where: string): SluiceError {
  const state = sqlState(error) ?? '';
  if (DAMAGED.test(state)) {
    const message = `a row of ${relation.schema}.${relation.name} cannot be read: ${(error as Error).message}`;
    return new SluiceError('SLU_S1156', message, { cause: error, where });
  }
  switch (state) {
    case '42P01':
    case '3F000':
      return tableChanged(relation, 'it does not exist any more');
    case '42703':
      return new SluiceError('SLU_R1103', `${relation.schema}.${relation.name} has other columns by now`, {
        cause: error,
      });
    case '42501': {
      const hint = `GRANT SELECT ON ${qualifiedName(relation)} to the role of the connection.`;
      return new SluiceError('SLU_S1125', `${relation.schema}.${relation.name} may not be read`, {
        cause: error,
        hint,
      });
    }
    case '55P03': {
      const message = `${relation.schema}.${relation.name} is locked, for example by an ALTER TABLE`;
      return new SluiceError('PSYNC_S1120', message, { cause: error, where });
    }
    default:
      return sourceError(error, where);
  }
}
