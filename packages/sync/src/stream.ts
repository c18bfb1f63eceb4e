/**
 * The response to `POST /sync/stream`, line by line: wait, tell what changed, send the data, complete. Lines are made
 * only as fast as they are taken, and the ops of a line stand in memory only until the next one is asked for.
 */
import { type Checkpoint, type Clock, type Random, SluiceError } from '@sluice/core';
import { Connection } from './connection.ts';
import type { Download, DownloadShare } from './download-share.ts';
import type { FeedSubscription } from './feed-subscription.ts';
import { type MembershipLimits, membershipLimits } from './membership.ts';
import type { Line, SyncStreamRequest } from './protocol.ts';
import type { ServedVersion } from './served-version.ts';
import { TokenSchedule } from './token-schedule.ts';
import { writeCheckpointUser } from './write-checkpoints.ts';

export interface StreamContext {
  readonly version: ServedVersion;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: MembershipLimits;
  /** Shared by all connections of the process. */
  readonly downloads: Pick<DownloadShare, 'begin'>;
  /** After so many ops of one round, news that overtake them are looked for. Default 1000. */
  readonly interruptAfterOps?: number;
}

/** A verified token. */
export interface Session {
  readonly userId: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly expiresAtMs: number;
}

const INTERRUPT_AFTER_OPS = 1_000;

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
      limits: context.limits ?? membershipLimits,
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
      const share = context.downloads.begin();
      try {
        const interruptAfterOps = context.interruptAfterOps ?? INTERRUPT_AFTER_OPS;
        yield* download({ connection, subscription, token, checkpoint, share, interruptAfterOps });
      } finally {
        share.end();
      }
      if (token.expired) return;
    }
  } finally {
    signal.removeEventListener('abort', close);
    subscription.close();
  }
}

interface Round {
  readonly connection: Connection;
  readonly subscription: FeedSubscription;
  readonly token: TokenSchedule;
  readonly checkpoint: Checkpoint;
  readonly share: Download;
  readonly interruptAfterOps: number;
}

/** The data of one checkpoint and its completion; ends early for news that overtake it, and when the connection is to end. */
async function* download(work: Round): AsyncGenerator<Line, void, void> {
  const { connection, subscription, token, checkpoint } = work;
  const reader = connection.download(work.share);
  for (;;) {
    const line = await reader.next();
    if (subscription.closed) return;
    if (line === null) {
      connection.state.complete();
      yield { checkpoint_complete: { last_op_id: String(checkpoint.opId) } };
      return;
    }
    yield line;
    const seconds = token.take();
    if (seconds !== null) yield { token_expires_in: seconds };
    if (seconds === 0) return;
    const priority = reader.sent >= work.interruptAfterOps ? reader.interruptible : null;
    if (priority !== null && connection.overtakes(subscription.pending, priority)) return;
  }
}

/** The version to serve from. @throws PSYNC_S2302 while there is none */
export function requireVersion(version: ServedVersion | null): ServedVersion {
  if (version !== null) return version;
  throw new SluiceError('PSYNC_S2302', 'No sync rules are active yet');
}
