/**
 * The right to write a stream. A lease belongs to one opened storage of one process; all processes share the machine,
 * so a dead holder is seen at once and nothing has to expire. The token rises with every holder, and each write
 * transaction asserts it: a writer that lost its lease can change nothing.
 */
import { readFileSync } from 'node:fs';
import { SluiceError, type StreamId } from '@sluice/core';
import { documentKey } from './keys.ts';
import { getDocument, putDocument, type Schema } from './schema.ts';

interface Holder {
  readonly owner: string;
  readonly pid: number;
  /** When the process started, as the system counts it: tells a holder from a later process with its number. */
  readonly started: string;
  /** Which of the storages that the process opened. */
  readonly opened: number;
}

interface Lease {
  readonly token: number;
  readonly holder: Holder | null;
}

/** Storages that are open in this process. A lease of ours that is not among them died with its storage. */
const openInstances = new Set<number>();
let instances = 0;

export function registerInstance(): number {
  openInstances.add(++instances);
  return instances;
}

export function forgetInstance(instance: number): void {
  openInstances.delete(instance);
}

/** Inside a transaction. @returns the fencing token. @throws PSYNC_S1003 if a live holder has the lease. */
export function takeLease(schema: Schema, stream: StreamId, holder: { owner: string; instance: number }): number {
  const lease = readLease(schema, stream);
  if (lease.holder !== null && isAlive(lease.holder)) {
    throw new SluiceError('PSYNC_S1003', `stream ${stream} is written by ${lease.holder.owner} (${lease.holder.pid})`);
  }
  const next: Lease = {
    token: lease.token + 1,
    holder: {
      owner: holder.owner,
      pid: process.pid,
      started: processStart(process.pid) ?? '',
      opened: holder.instance,
    },
  };
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

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid && holder.started === (processStart(process.pid) ?? '')) {
    return openInstances.has(holder.opened);
  }
  return processExists(holder.pid) && (processStart(holder.pid) ?? holder.started) === holder.started;
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, but belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Start time in clock ticks since boot; null where the system does not tell (anything but Linux). */
function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended: only its parent has not noticed.
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? null);
  } catch {
    return null;
  }
}
