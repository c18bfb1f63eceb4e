/**
 * Runs attempt after attempt: errors say themselves what is to be done with them. `retry` waits with growing, jittered
 * back-off; `stop` halts until a person acts (the stream is stopped or the process restarted).
 */
import { asSluiceError, type Clock, type Logger, type Random, SluiceError } from '@sluice/core';

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** An attempt that lasted this long starts the back-off anew. */
const HEALTHY_AFTER_MS = 30_000;
/** Who stands by looks this often whether the lease is free: well within the time after which a dead holder's lapses. */
const STANDBY_MS = 1_000;

export interface Supervision {
  readonly attempt: (signal: AbortSignal) => Promise<never>;
  /** Told about every failure before the wait. */
  readonly onFailure: (error: SluiceError) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Returns when the signal aborts. */
export async function supervise(
  { attempt, onFailure, clock, random, logger }: Supervision,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  let standingBy = false;
  while (!signal.aborted) {
    const startedAt = clock.monotonic();
    try {
      await attempt(signal);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asSluiceError(thrown);
      if (error.code === 'PSYNC_S1003') {
        // Not a failure, and said once: another process does the work.
        if (!standingBy) logger.info({ code: error.code }, `standing by: ${error.message}`);
        standingBy = true;
        await onFailure(error);
        await clock.sleep(jittered(STANDBY_MS, random), signal).catch(() => {});
        continue;
      }
      standingBy = false;
      failures = clock.monotonic() - startedAt > HEALTHY_AFTER_MS ? 1 : failures + 1;
      await onFailure(error);
      const waitMs = error.action === 'stop' ? null : backoffMs(failures, random);
      logFailure(logger, error, { waitMs, failures });
      if (waitMs === null) await aborted(signal);
      else await clock.sleep(waitMs, signal).catch(() => {});
    }
  }
}

export function backoffMs(failures: number, random: Random): number {
  return jittered(Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1)), random);
}

function jittered(ms: number, random: Random): number {
  return Math.round(ms * (0.5 + random() / 2));
}

function logFailure(
  logger: Logger,
  error: SluiceError,
  { waitMs, failures }: { waitMs: number | null; failures: number },
): void {
  const fields = { code: error.code, where: error.where, hint: error.hint, waitMs, failures };
  const cause =
    error.code === 'SLU_X0001' || error.code === 'SLU_X0002' ? { ...fields, error: error.cause ?? error } : fields;
  if (waitMs === null) logger.error(cause, `replication halted: ${error.message}`);
  else logger.warn(cause, `replication failed and is tried again: ${error.message}`);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
