/** The parameter index: one entry per lookup key, source row and op id; the newest one up to a checkpoint counts. */
import type { OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import { afterPrefix, lookupKey, lookupPrefix, lookupRow } from './keys.ts';
import type { Schema } from './schema.ts';

export interface LookupEntry {
  readonly key: string;
  readonly table: TableId;
  readonly row: RecordKey;
  readonly value: string;
  /** Counts the ops and lookups of the flush. */
  readonly ordinal: number;
}

/** LMDB keeps no empty values apart from absent ones, so every value has a leading byte. */
const VALUE_MARK = 0x2e;

export function putLookup({ lookups }: Schema, stream: StreamId, entry: LookupEntry & { readonly opId: OpId }): void {
  const key = lookupKey(lookupPrefix(stream, entry.key), entry.table, entry.row, entry.opId);
  const value = Buffer.alloc(1 + Buffer.byteLength(entry.value), VALUE_MARK);
  value.write(entry.value, 1);
  lookups.putSync(key, value);
}

export function readLookup({ lookups }: Schema, stream: StreamId, at: { key: string; checkpoint: OpId }): string[] {
  const start = lookupPrefix(stream, at.key);
  const newest = new Map<string, { readonly opId: OpId; readonly value: Buffer }>();
  for (const { key, value } of lookups.getRange({ start, end: afterPrefix(start) })) {
    const { row, opId } = lookupRow(key, start.length);
    if (opId > at.checkpoint) continue;
    const known = newest.get(row);
    if (known === undefined || known.opId < opId) newest.set(row, { opId, value });
  }
  const values: string[] = [];
  for (const { value } of newest.values()) if (value.length > 1) values.push(value.toString('utf8', 1));
  return values;
}
