/** `POST /sync/stream`: a validated request, a verified token, and then lines for as long as both sides like. */
import type { ServerResponse } from 'node:http';
import { asSluiceError, type Clock, type Failpoints, type Logger, type Random, SluiceError } from '@sluice/core';
import { countOps } from '@sluice/storage';
import {
  bsonFormat,
  type DownloadShare,
  type Line,
  type LineEncoder,
  type MembershipLimits,
  ndjsonFormat,
  parseSyncStreamRequest,
  requireVersion,
  type ServedVersions,
  type Session,
  streamLines,
  type SyncStreamRequest,
} from '@sluice/sync';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Authenticator } from '../auth.ts';
import type { ClientConnection, ClientConnections } from '../client-connections.ts';
import { LineWriter } from '../line-writer.ts';
import { acceptsGzip, prefersBson } from '../negotiation.ts';
import { ReaderStalled } from '../reader-wait.ts';

export interface SyncStreamPorts {
  readonly versions: Pick<ServedVersions, 'current'>;
  readonly authenticator: Authenticator;
  readonly connections: ClientConnections;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: MembershipLimits;
  readonly downloads: DownloadShare;
  readonly encoder: LineEncoder;
  readonly failpoints: Failpoints;
}

/** A client that keeps reading slowly must still go when its token ends. */
const EXPIRY_GRACE_MS = 15_000;
const METADATA_KEYS_MAX = 20;
const METADATA_CHARACTERS_MAX = 100;

export function syncStreamRoute(app: FastifyInstance, ports: SyncStreamPorts): void {
  app.post('/sync/stream', {
    onRequest: async (request) => {
      request.session = await ports.authenticator.client(request);
    },
    handler: async (request, reply) => {
      const body = parseSyncStreamRequest(request.body);
      const { session } = request;
      if (session === null) throw new SluiceError('PSYNC_S2106', 'no session');
      await serve(ports, { request, reply, session, body });
      return reply;
    },
  });
}

interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly session: Session;
  readonly body: SyncStreamRequest;
}

async function serve(ports: SyncStreamPorts, call: Call): Promise<void> {
  const { connections, clock } = ports;
  const version = requireVersion(ports.versions.current);
  const end = new AbortController();
  const connection = describeConnection(call, clock);
  connections.add(connection, end);
  const logger = ports.logger.child({ user: connection.user, client: connection.clientId });
  const onClose = () => end.abort(new Error('the client is gone'));
  call.reply.raw.once('close', onClose);
  const cancelExpiry = clock.timer(Math.max(0, call.session.expiresAtMs - clock.now()) + EXPIRY_GRACE_MS, () => {
    end.abort(new Error('the token has expired'));
  });
  const context = {
    version,
    clock,
    random: ports.random,
    limits: ports.limits,
    downloads: ports.downloads,
  };
  const lines = streamLines(context, { session: call.session, request: call.body }, end.signal);
  logger.info(
    { agent: connection.userAgent, app: boundedMetadata(call.body), stream: version.stream.id },
    'Client connected',
  );
  try {
    // Nothing is sent before the first line: what fails until then is an ordinary error response.
    const first = await lines.next();
    if (first.done !== true) await send({ ports, call, connection, lines, first: first.value, signal: end.signal });
    else if (!call.reply.raw.destroyed) throw new SluiceError('PSYNC_S2003', 'the stream ended before its first line');
  } catch (error) {
    if (!call.reply.sent) throw error;
    report(error, { ports, logger, connection, signal: end.signal });
    call.reply.raw.destroy();
  } finally {
    cancelExpiry();
    end.abort(new Error('the response has ended'));
    await lines.return();
    connections.remove(connection);
    const seconds = Math.round((clock.now() - connection.connectedAtMs) / 1000);
    logger.info(
      { seconds, lines: connection.lines, ops: connection.ops, bytes: connection.bytes },
      'Client disconnected',
    );
  }
}

interface Sending {
  readonly ports: SyncStreamPorts;
  readonly call: Call;
  readonly connection: ClientConnection;
  readonly lines: AsyncGenerator<Line, void, void>;
  readonly first: Line;
  readonly signal: AbortSignal;
}

async function send({ ports, call, connection, lines, first, signal }: Sending): Promise<void> {
  const { clock, encoder, failpoints } = ports;
  const { request, reply, body } = call;
  const format = prefersBson(request.headers.accept) ? bsonFormat : ndjsonFormat(body.rawData);
  const gzip = acceptsGzip(request.headers['accept-encoding']);
  reply.hijack();
  writeHead(reply, { contentType: format.contentType, gzip });
  const writer = new LineWriter(reply.raw, { gzip, clock, signal });
  try {
    for (let line: Line | undefined = first; line !== undefined; ) {
      const encoded = encoder.encode(line, format);
      count(connection, line, encoded.bytes.length);
      connection.activity = 'blocked';
      if ('checkpoint_complete' in line) failpoints.pass('client.before-complete');
      await (isOfUse(line) ? writer.write(encoded) : writer.hold(encoded));
      if ('data' in line) failpoints.pass('client.data-sent');
      else if ('checkpoint' in line) failpoints.pass('client.checkpoint-sent');
      connection.activity = endsRound(line) ? 'current' : 'downloading';
      const next: IteratorResult<Line, void> = await lines.next();
      line = next.done === true ? undefined : next.value;
    }
    if (!signal.aborted) await writer.end();
    else reply.raw.destroy();
  } finally {
    writer.close();
  }
}

/** Behind these nothing may come for long; behind all others the next line is made at once. */
function endsRound(line: Line): boolean {
  return 'checkpoint_complete' in line || 'token_expires_in' in line;
}

/** A client makes use of it before the rest comes. */
function isOfUse(line: Line): boolean {
  return endsRound(line) || 'partial_checkpoint_complete' in line;
}

function writeHead(reply: FastifyReply, options: { readonly contentType: string; readonly gzip: boolean }): void {
  const response: ServerResponse = reply.raw;
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) response.setHeader(name, value);
  response.setHeader('Content-Type', options.contentType);
  response.setHeader('Cache-Control', 'no-store, no-transform');
  response.setHeader('Vary', 'Accept, Accept-Encoding');
  // Streams end where a process stops: who comes again at once must not be sent to it, on a connection about to close.
  response.setHeader('Connection', 'close');
  // Keeps nginx from holding lines back.
  response.setHeader('X-Accel-Buffering', 'no');
  if (options.gzip) response.setHeader('Content-Encoding', 'gzip');
  response.writeHead(200);
}

function count(connection: ClientConnection, line: Line, bytes: number): void {
  connection.lines++;
  connection.bytes += bytes;
  if ('data' in line) connection.ops += countOps(line.data.slices);
}

function report(
  error: unknown,
  about: {
    readonly ports: SyncStreamPorts;
    readonly logger: Logger;
    readonly connection: ClientConnection;
    readonly signal: AbortSignal;
  },
): void {
  const { ports, logger, signal } = about;
  if (error instanceof ReaderStalled) {
    ports.connections.totals.evicted++;
    logger.warn({}, `Client closed: ${error.message}`);
  } else if (!signal.aborted) {
    const { code, message } = asSluiceError(error);
    logger.error({ code, err: error }, `A stream broke off: ${message}`);
  }
}

function describeConnection({ request, session, body }: Call, clock: Clock): ClientConnection {
  const agent = request.headers['x-user-agent'] ?? request.headers['user-agent'] ?? '';
  return {
    user: session.userId,
    clientId: body.clientId,
    userAgent: String(agent).slice(0, 200),
    connectedAtMs: clock.now(),
    activity: 'connecting',
    lines: 0,
    bytes: 0,
    ops: 0,
  };
}

function boundedMetadata(body: SyncStreamRequest): Record<string, string> | undefined {
  if (body.appMetadata === null) return undefined;
  const entries = Object.entries(body.appMetadata).slice(0, METADATA_KEYS_MAX);
  return Object.fromEntries(
    entries.map(([key, value]) => [key.slice(0, METADATA_CHARACTERS_MAX), value.slice(0, METADATA_CHARACTERS_MAX)]),
  );
}
