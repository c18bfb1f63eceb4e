/** One record per user: the newest write checkpoint's id and the source head that must be passed first. */
import type { Position } from '@sluice/core';
import type { WriteCheckpoint } from '@sluice/storage';
import { userKey } from './keys.ts';
import { getDocument, putDocument, type Schema } from './schema.ts';

interface Stored {
  /** Decimal: ids may pass 2^53. */
  readonly id: string;
  readonly head: Position;
}

export function getWriteCheckpoint({ users }: Schema, user: string): WriteCheckpoint | null {
  const stored = getDocument<Stored>(users, userKey(user));
  return stored === null ? null : { id: BigInt(stored.id), head: stored.head };
}

export function createWriteCheckpoint(schema: Schema, user: string, head: Position): bigint {
  const id = (getWriteCheckpoint(schema, user)?.id ?? 0n) + 1n;
  putDocument(schema.users, userKey(user), { id: id.toString(), head } satisfies Stored);
  return id;
}

export function requestWriteCheckpoint(schema: Schema, user: string, request: WriteCheckpoint): bigint {
  const stored = getWriteCheckpoint(schema, user);
  if (stored !== null && stored.id >= request.id) return stored.id;
  putDocument(schema.users, userKey(user), { id: request.id.toString(), head: request.head } satisfies Stored);
  return request.id;
}
