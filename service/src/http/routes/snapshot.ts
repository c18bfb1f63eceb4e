/**
 * `/api/snapshot/v1/*`: operators look at the copy and say how it is to go on. What they say is stored, so any process
 * may be asked; the one that copies obeys within a chunk.
 */
import { type Clock, SluiceError } from '@sluice/core';
import type { BucketStorage, SnapshotControl, SnapshotControlChange, StreamInfo, TableState } from '@sluice/storage';
import { Ajv, type JSONSchemaType } from 'ajv';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { COPY_CONCURRENCY_MAX } from '../../config/schema.ts';
import type { Authenticator } from '../auth.ts';

export interface SnapshotPorts {
  readonly storage: BucketStorage;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
}

interface Order {
  /** Default: the stream that is being prepared, else the active one. */
  readonly stream?: number;
  /** `schema.name`; default: all tables. */
  readonly table?: string;
  readonly priority?: number;
  readonly concurrency?: number | null;
}

const orderSchema: JSONSchemaType<Order> = {
  type: 'object',
  properties: {
    stream: { type: 'integer', nullable: true },
    table: { type: 'string', minLength: 1, nullable: true },
    priority: { type: 'integer', minimum: -1000, maximum: 1000, nullable: true },
    concurrency: { type: 'integer', minimum: 1, maximum: COPY_CONCURRENCY_MAX, nullable: true },
  },
  additionalProperties: false,
};

const isOrder = new Ajv().compile<Order>(orderSchema);

export function snapshotRoutes(app: FastifyInstance, ports: SnapshotPorts): void {
  const { storage, authenticator, clock } = ports;
  const operator = { onRequest: async (request: FastifyRequest) => authenticator.operator(request) };

  const onOrder = (path: string, changesOf: (order: Order, tables: readonly TableState[]) => SnapshotControlChange[]) =>
    app.post(`/api/snapshot/v1/${path}`, operator, async (request) => {
      const order = orderOf(request);
      const stream = await streamOf(storage, order);
      const tables = await storage.reader(stream.id).tables();
      if (order.table !== undefined) requireTable(tables, order.table);
      return answer(stream, await storage.controlSnapshot(stream.id, changesOf(order, tables)));
    });

  app.get('/api/snapshot/v1/control', operator, async () => {
    const stream = await streamOf(storage, {});
    return answer(stream, await storage.reader(stream.id).snapshotControl());
  });

  onOrder('pause', ({ table }) =>
    table === undefined
      ? [{ kind: 'pauseAll' }]
      : [{ kind: 'hold', table, hold: { kind: 'paused', atMs: clock.now() } }],
  );
  onOrder('resume', ({ table }) => [table === undefined ? { kind: 'resumeAll' } : { kind: 'resume', table }]);
  onOrder('cancel', ({ table }, tables) => {
    const names = table === undefined ? tables.filter(isPending).map(nameOf) : [table];
    return names.map((name) => ({ kind: 'hold', table: name, hold: { kind: 'cancelled', atMs: clock.now() } }));
  });
  onOrder('priority', ({ table, priority }) => {
    if (table === undefined || priority === undefined) throw invalid('table and priority: both must be given');
    return [{ kind: 'priority', table, priority }];
  });
  onOrder('compare', ({ table }) => {
    if (table !== undefined) throw invalid('table: all tables are compared, or none');
    return [{ kind: 'compare', wanted: true }];
  });
  onOrder('concurrency', ({ concurrency }) => {
    if (concurrency === undefined) throw invalid('concurrency: must be a number, or null for the configured one');
    return [{ kind: 'concurrency', value: concurrency }];
  });
}

function answer(stream: StreamInfo, control: SnapshotControl): object {
  return { data: { stream: stream.id, control } };
}

/** @throws PSYNC_S2001 */
function orderOf({ body }: FastifyRequest): Order {
  const order = body ?? {};
  if (isOrder(order)) return order;
  const [error] = isOrder.errors ?? [];
  throw invalid(`${error?.instancePath.slice(1) || 'body'}: ${error?.message ?? 'is not valid'}`);
}

/** @throws PSYNC_S4104 if there is no such stream */
async function streamOf(storage: BucketStorage, { stream }: Order): Promise<StreamInfo> {
  const streams = (await storage.listStreams()).filter(({ lifecycle }) => lifecycle !== 'stopped');
  const found =
    stream === undefined
      ? (streams.find(({ lifecycle }) => lifecycle === 'processing') ?? streams[0])
      : streams.find(({ id }) => id === stream);
  if (found !== undefined) return found;
  throw new SluiceError(
    'PSYNC_S4104',
    stream === undefined ? 'there are no sync rules' : `there is no stream ${stream}`,
  );
}

/** A name that is not there is a slip; what was meant would go on being copied. */
function requireTable(tables: readonly TableState[], name: string): void {
  if (tables.some((table) => nameOf(table) === name)) return;
  const known = tables.map(nameOf).join(', ');
  throw invalid(`table: ${name} is none of the tables of the stream (${known === '' ? 'none yet' : known})`);
}

function nameOf({ relation }: TableState): string {
  return `${relation.schema}.${relation.name}`;
}

function isPending({ snapshot }: TableState): boolean {
  return snapshot === 'pending';
}

function invalid(message: string): SluiceError {
  return new SluiceError('PSYNC_S2001', message);
}
