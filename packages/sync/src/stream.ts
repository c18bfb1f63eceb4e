/**
 * The response to `POST /sync/stream`, line by line: wait, tell what changed, send the data, complete. Lines are made
 * only as fast as they are taken.
 */
import { type Clock, limits, type Random, SluiceError } from '@sluice/core';
import type { ReadBounds } from './bucket-reader.ts';
import { Connection } from './connection.ts';
import { type MembershipLimits, membershipLimits } from './membership.ts';
import type { Line, SyncStreamRequest } from './protocol.ts';
import type { ServedVersion } from './served-version.ts';
import { TokenSchedule } from './token-schedule.ts';
import { type WriteCheckpoints, writeCheckpointUser } from './write-checkpoints.ts';

export interface StreamContext {
  readonly version: ServedVersion;
  readonly writeCheckpoints: Pick<WriteCheckpoints, 'newest'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: MembershipLimits;
  readonly bounds?: ReadBounds;
}

/** A verified token. */
export interface Session {
  readonly userId: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly expiresAtMs: number;
}

/** After so many ops of one round, news that overtake them are looked for. */
const INTERRUPT_AFTER_OPS = 1_000;

const defaultBounds: ReadBounds = { ops: limits.dataLineOpsMax, bytes: limits.dataLineBytesMax };

/**
 * Ends when the token expires, when the stream is no longer served, or when the signal aborts; then all its work ends.
 * @throws PSYNC_S2305, before the first line or later
 */
export async function* streamLines(
  context: StreamContext,
  client: { readonly session: Session; readonly request: SyncStreamRequest },
  signal: AbortSignal,
): AsyncGenerator<Line, void, void> {
  const { feed } = context.version;
  const { session, request } = client;
  const subscription = feed.subscribe(writeCheckpointUser(session.userId, request.clientId));
  const close = () => subscription.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    if (signal.aborted) return;
    const token = new TokenSchedule({ ...context, expiresAtMs: session.expiresAtMs });
    const connection = new Connection({
      version: context.version,
      subscription,
      request,
      token: session.payload,
      writeCheckpoints: context.writeCheckpoints,
      limits: context.limits ?? membershipLimits,
      bounds: context.bounds ?? defaultBounds,
    });
    while (!subscription.closed) {
      const seconds = token.take();
      if (seconds !== null) yield { token_expires_in: seconds };
      if (seconds === 0) return;
      const checkpoint = feed.checkpoint;
      if (checkpoint === null || !subscription.hasNews) {
        await subscription.wait(token.msUntilDue());
        continue;
      }
      const line = await connection.advance(checkpoint, subscription.take());
      if (line === null) continue;
      yield line;
      const download = connection.download();
      for (let data = await download.next(); ; data = await download.next()) {
        if (subscription.closed) return;
        if (data === null) {
          connection.state.complete();
          yield { checkpoint_complete: { last_op_id: String(checkpoint.opId) } };
          break;
        }
        yield data;
        const left = token.take();
        if (left !== null) yield { token_expires_in: left };
        if (left === 0) return;
        const priority = download.sent >= INTERRUPT_AFTER_OPS ? download.interruptible : null;
        if (priority !== null && connection.overtakes(subscription.pending, priority)) break;
      }
    }
  } finally {
    signal.removeEventListener('abort', close);
    subscription.close();
  }
}

/** The version to serve from. @throws PSYNC_S2302 while there is none */
export function requireVersion(version: ServedVersion | null): ServedVersion {
  if (version !== null) return version;
  throw new SluiceError('PSYNC_S2302', 'No sync rules are active yet');
}
