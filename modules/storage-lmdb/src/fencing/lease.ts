/**
 * The right to write a stream. The token rises with every holder, and each write transaction asserts it: a writer that
 * lost its lease can change nothing.
 */
import { SluiceError, type StreamId } from '@sluice/core';
import { type Holder, isAlive, type Opened, thisProcess } from './holder.ts';
import { documentKey } from '../keys.ts';
import { getDocument, putDocument, type Schema } from '../schema.ts';

interface Lease {
  readonly token: number;
  readonly holder: Holder | null;
}

/** Inside a transaction. @returns the fencing token. @throws PSYNC_S1003 if a live holder has the lease. */
export function takeLease(schema: Schema, stream: StreamId, holder: Opened): number {
  const lease = readLease(schema, stream);
  if (lease.holder !== null && isAlive(lease.holder)) {
    throw new SluiceError('PSYNC_S1003', `stream ${stream} is written by ${lease.holder.owner} (${lease.holder.pid})`);
  }
  const next: Lease = { token: lease.token + 1, holder: thisProcess(holder) };
  putDocument(schema.documents, documentKey('lease', stream), next);
  return next.token;
}

/** Inside every write transaction of a writer. @throws SLU_R1101 */
export function assertLease(schema: Schema, stream: StreamId, token: number): void {
  const lease = readLease(schema, stream);
  if (lease.token === token && lease.holder !== null) return;
  throw new SluiceError('SLU_R1101', `stream ${stream}: the lease has token ${lease.token}, this writer has ${token}`);
}

export function releaseLease(schema: Schema, stream: StreamId, token: number): void {
  if (readLease(schema, stream).token !== token) return;
  putDocument(schema.documents, documentKey('lease', stream), { token, holder: null } satisfies Lease);
}

function readLease(schema: Schema, stream: StreamId): Lease {
  return getDocument<Lease>(schema.documents, documentKey('lease', stream)) ?? { token: 0, holder: null };
}

/** What the writer is called that has the lease, if it is alive. */
export function livingWriter(schema: Schema, stream: StreamId): string | null {
  const { token, holder } = readLease(schema, stream);
  return holder !== null && isAlive(holder) ? writerName(holder.owner, token) : null;
}

export function writerName(owner: string, token: number): string {
  return `${owner}, writer ${token}`;
}
