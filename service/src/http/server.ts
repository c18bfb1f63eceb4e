/** The HTTP side: conventions that hold for every route. Routes are in `routes/`. */
import { limits, type Logger, SluiceError } from '@sluice/core';
import type { Session } from '@sluice/sync';
import Fastify, { type FastifyInstance } from 'fastify';
import { errorAnswer } from './errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the body is read, where a route needs a client's token. */
    session: Session | null;
  }
}

export interface HttpServer {
  readonly app: FastifyInstance;
  /** From now on nobody can connect; on connections that are there, streams are refused and all else is answered. */
  drain(): void;
}

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': 'Content-Type, Authorization, User-Agent, X-User-Agent',
  'Access-Control-Allow-Methods': 'GET, POST, OPTIONS',
  'Access-Control-Expose-Headers': 'Content-Type',
  'Access-Control-Max-Age': '3600',
} as const;

/** Clients in browsers call these; operators' endpoints stay out of reach for scripts of other sites. */
const CLIENT_PATHS = /^\/(?:sync\/|write-checkpoint|probes\/)/;

const HEADERS_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 60_000;
const TCP_KEEPALIVE_MS = 30_000;

/** @param socketsMax connections beyond it are closed unanswered */
export function createHttpServer(logger: Logger, socketsMax: number): HttpServer {
  let draining = false;
  const app = Fastify({
    logger: false,
    bodyLimit: limits.requestBodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: false },
  });
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  app.server.maxConnections = socketsMax;
  app.server.on('connection', (socket) => socket.setKeepAlive(true, TCP_KEEPALIVE_MS));
  app.decorateRequest('session', null);
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(
    ['application/yaml', 'text/yaml', 'application/x-yaml'],
    { parseAs: 'string' },
    (_, body, done) => done(null, body),
  );
  app.addHook('onRequest', async (request, reply) => {
    if (CLIENT_PATHS.test(request.url)) reply.headers(CORS);
    if (request.method === 'OPTIONS' && CLIENT_PATHS.test(request.url)) return reply.code(204).send();
    // Whoever comes again on this connection would come here again.
    if (draining) reply.header('Connection', 'close');
    if (draining && request.url.startsWith('/sync/stream'))
      throw new SluiceError('PSYNC_S2003', 'the service is shutting down');
  });
  app.setErrorHandler(async (error, _, reply) => {
    const { status, body } = errorAnswer(error, logger);
    if (status === 429 || status === 503) reply.header('Retry-After', '5');
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler(async (request) => {
    throw new SluiceError('PSYNC_S2002', `no route ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}`);
  });
  return {
    app,
    drain() {
      draining = true;
      app.server.close();
    },
  };
}
