/** `GET /write-checkpoint2.json` and `POST /sync/checkpoint-request`: proofs that a client's own writes came back. */
import { SluiceError } from '@sluice/core';
import {
  parseCheckpointRequest,
  requireVersion,
  type ServedVersions,
  type WriteCheckpoints,
  writeCheckpointUser,
} from '@sluice/sync';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Authenticator } from '../auth.ts';

export interface WriteCheckpointPorts {
  readonly versions: Pick<ServedVersions, 'current'>;
  readonly writeCheckpoints: WriteCheckpoints;
  readonly authenticator: Authenticator;
}

export function writeCheckpointRoutes(app: FastifyInstance, ports: WriteCheckpointPorts): void {
  app.get('/write-checkpoint2.json', async (request) => {
    const session = await ports.authenticator.client(request);
    const clientId = queryClientId(request);
    requireVersion(ports.versions.current);
    const id = await ports.writeCheckpoints.create(writeCheckpointUser(session.userId, clientId));
    return { data: { write_checkpoint: String(id) } };
  });

  app.post('/sync/checkpoint-request', async (request) => {
    const session = await ports.authenticator.client(request);
    const { clientId, id } = parseCheckpointRequest(request.body);
    requireVersion(ports.versions.current);
    const stored = await ports.writeCheckpoints.request(writeCheckpointUser(session.userId, clientId), id);
    return { data: { checkpoint_request_id: String(stored) } };
  });
}

function queryClientId(request: FastifyRequest): string | null {
  const { client_id: clientId } = request.query as { client_id?: unknown };
  if (clientId === undefined) return null;
  if (typeof clientId === 'string') return clientId;
  throw new SluiceError('PSYNC_S2001', 'client_id: must be given once', { where: 'client_id' });
}
