/** The change stream: one replication connection, decoded, in the batches in which it came off the wire. */
import { type Clock, type Logger, type Position, SluiceError, type StreamEvent } from '@sluice/core';
import type { ColumnTypes } from './column-types.ts';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { Decoder } from './decode.ts';
import { positionOfLsn } from './position.ts';
import { WalConnection } from './wal-connection.ts';

export interface StreamContext {
  readonly settings: SourceSettings;
  readonly database: Database;
  readonly slot: string;
  readonly columnTypes: ColumnTypes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly durable: () => Position;
}

export async function* streamChanges(
  context: StreamContext,
  signal: AbortSignal,
): AsyncGenerator<readonly StreamEvent[], void> {
  const { settings, columnTypes } = context;
  await columnTypes.loadBuiltIn();
  if (signal.aborted) return;
  const decoder = new Decoder(settings.tag, columnTypes.builtIn);
  let batch: StreamEvent[] = [];
  /** Highest position streamed so far: a keepalive may repeat it, never fall behind it. */
  let reached: Position = '';
  const heartbeat = (position: Position): void => {
    if (decoder.inTransaction || position < reached) return;
    // The server often repeats what the commit just before has said.
    if (position === reached && batch.length > 0) return;
    reached = position;
    batch.push({ kind: 'heartbeat', position });
  };
  const onMessage = (message: Buffer): void => {
    const event = decoder.decode(message);
    if (event === null) return;
    if (event.kind === 'heartbeat') return heartbeat(event.position);
    if (event.kind === 'commit') {
      if (event.position < reached) throw outOfOrder(event.position, reached);
      reached = event.position;
    }
    batch.push(event);
  };
  await checkHistory(context);
  const statusMs = await statusIntervalMs(context.database);
  if (signal.aborted) return;
  const connection = await WalConnection.open({
    ...context,
    where: context.database.where,
    client: settings.client,
    publication: settings.publication,
    from: context.durable(),
    heartbeatIntervalMs: Math.min(settings.heartbeatIntervalMs, statusMs),
    readDeadlineMs: settings.readDeadlineMs,
    pendingBytesMax: settings.streamPendingBytesMax,
    onMessage,
    onKeepalive: heartbeat,
    signal,
  }).catch((error: unknown) => {
    if (signal.aborted) return null;
    throw error;
  });
  if (connection === null) return;
  try {
    for (;;) {
      await connection.arrival();
      if (signal.aborted) return;
      const ready = batch;
      batch = [];
      connection.taken();
      const untyped = decoder.untyped.splice(0);
      if (untyped.length > 0) await columnTypes.fillIn(untyped);
      if (ready.length > 0) yield ready;
    }
  } finally {
    await connection.close();
  }
}

/** After a failover to a server that lagged behind, what we have may never have happened there. */
async function checkHistory({ database, durable }: StreamContext): Promise<void> {
  const [lsn] = await database.row('select pg_current_wal_insert_lsn()');
  const head = positionOfLsn(lsn ?? '');
  if (durable() <= head) return;
  throw new SluiceError('SLU_S1150', `its history ends at ${head}, before what was read of it (${durable()})`, {
    where: database.where,
  });
}

function outOfOrder(position: Position, reached: Position): SluiceError {
  return new SluiceError('SLU_S1155', `a commit at ${position} came after ${reached}`);
}

/** The server drops a standby that is silent for `wal_sender_timeout`. */
async function statusIntervalMs(database: Database): Promise<number> {
  const [timeout] = await database.row("select setting from pg_settings where name = 'wal_sender_timeout'");
  return timeout === null || timeout === undefined || timeout === '0' ? Number.POSITIVE_INFINITY : Number(timeout) / 3;
}
