/** Staged rows become ops, a bounded part at a time, in storage order. */
import type { OpId, Position, StreamId, TableId } from '@sluice/core';
import { type CheckpointState, notCopied, type PublishRows, rowsPublished, TOMBSTONE } from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { GROUP_SLOTS } from './config.ts';
import { readSlot, type StoredRecord } from './record-groups.ts';
import { Records, scanGroups } from './records.ts';
import type { Schema } from './schema.ts';
import { putTable, requireTable } from './tables.ts';

/** The law's event, and where the next part begins. */
interface PublishedPart {
  readonly kind: 'stagedPublished';
  readonly headOp: OpId;
  readonly position: Position;
  readonly remaining: boolean;
  /** Number of the last record of this part; null if none is left. */
  readonly next: number | null;
}

/** Inside the transaction. @returns null if there was nothing left to publish */
export function publishRows(
  schema: Schema,
  { stream, state }: { readonly stream: StreamId; readonly state: CheckpointState },
  { tableId, after, limit, publish }: PublishRows,
): PublishedPart | null {
  const table = requireTable(schema, stream, tableId);
  if (table.visibility === 'shown') return null;
  if (table.endPosition === null) throw notCopied(table);
  const from = typeof after === 'number' ? after : -1;
  const found = liveRecords(schema, { stream, table: tableId }, { after: from, limit: limit + 1 });
  const part = found.slice(0, limit);
  const remaining = found.length > part.length;
  const next = rowsPublished(table, remaining);
  putTable(schema, stream, next);
  const records = new Records(schema, stream, table.id);
  const assembly = new Assembly();
  for (const stored of part) {
    const effect = publish(next, stored.key, stored.record);
    if (effect === null || effect.record === null) continue;
    assembly.add(table.id, stored.key, effect);
    records.replace(stored, 0, effect.record);
  }
  records.write();
  const headOp = assembly.seal().write(schema, stream, state.headOp);
  const last = remaining ? (part.at(-1)?.number ?? null) : null;
  return { kind: 'stagedPublished', headOp, position: table.endPosition, remaining, next: last };
}

function liveRecords(
  schema: Schema,
  { stream, table }: { readonly stream: StreamId; readonly table: TableId },
  { after, limit }: { readonly after: number; readonly limit: number },
): StoredRecord[] {
  const found: StoredRecord[] = [];
  const from = Math.floor((after + 1) / GROUP_SLOTS);
  for (const { number, slots } of scanGroups(schema, stream, table, from)) {
    for (const [slot, bytes] of slots.entries()) {
      if (bytes.length === 0 || number * GROUP_SLOTS + slot <= after) continue;
      const record = readSlot(bytes, number * GROUP_SLOTS + slot);
      if ((record.flags & TOMBSTONE) === 0) found.push(record);
      if (found.length === limit) return found;
    }
  }
  return found;
}
