/** `GET /api/status`: what an operator wants to know, as one JSON document. */
import type { FastifyInstance } from 'fastify';
import { statusDocument, type StatusPorts } from '../../status/model.ts';
import type { Authenticator } from '../auth.ts';

export function statusRoute(
  app: FastifyInstance,
  ports: StatusPorts & { readonly authenticator: Authenticator },
): void {
  app.get('/api/status', async (request) => {
    ports.authenticator.operator(request);
    return statusDocument(ports);
  });
}
