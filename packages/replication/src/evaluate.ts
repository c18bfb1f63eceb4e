/**
 * The heart: (prior record, change) → ops, lookups, next record. Pure, written once, called by storage adapters inside
 * their transactions (and perhaps again, if a record changed in between). Rows are put whole; buckets and lookups that
 * the row left are ended; what did not change is not written.
 */
import { limits, type OpDraft, putOp, type RawRow, type RecordKey, removeOp, type TableId } from '@sluice/core';
import {
  decodeRecord,
  type Effect,
  encodeRecord,
  type LookupDraft,
  type Membership,
  type SourceRecord,
} from '@sluice/storage';
import type { RowSink } from '@sluice/sync-rules';
import type { ChangeWrite } from './row-write.ts';
import type { TableBinding } from './table-binding.ts';

export function evaluate(write: ChangeWrite, prior: Uint8Array | null, moved: Uint8Array | null): Effect | null {
  switch (write.kind) {
    case 'upsert':
      return upsert(write, prior === null ? null : decodeRecord(prior), moved);
    case 'delete':
      return prior === null ? nothingLeft : erase(write.tableId, write.key, prior);
    case 'complete':
      if (prior === null || Buffer.compare(prior, write.expected) !== 0) return null;
      return complete(write.binding, write.key, decodeRecord(prior), write.row);
  }
}

const nothingLeft: Effect = { record: null, ops: [], lookups: [], partial: false };

/** The end of a record: removes for its memberships, ends of its lookups. */
export function erase(tableId: TableId, key: RecordKey, record: Uint8Array): Effect {
  const { memberships, lookups } = decodeRecord(record);
  const subkey = subkeyOf(tableId, key);
  return {
    record: null,
    ops: memberships.map((m) => removeOp(m.bucket, m.objectType, m.objectId, subkey)),
    lookups: lookups.map((lookup) => ({ key: lookup, value: '' })),
    partial: false,
  };
}

/** Tells rows of one object id apart; stable for the life of the table's incarnation. */
function subkeyOf(tableId: TableId, key: RecordKey): string {
  return `${tableId}.${key}`;
}

function upsert(
  write: ChangeWrite & { kind: 'upsert' },
  prior: SourceRecord | null,
  moved: Uint8Array | null,
): Effect | null {
  const before = moved === null ? prior : decodeRecord(moved);
  const row = hasGaps(write.row) ? filled(write.row, before?.values ?? []) : write.row;
  if (hasGaps(row)) return partial(prior, row);
  if (prior !== null && !prior.partial && sameValues(prior.values, row)) return null;
  return full(write.binding, write.key, prior, row);
}

function hasGaps(row: RawRow): boolean {
  return row.includes(undefined);
}

function filled(row: RawRow, from: RawRow): RawRow {
  return row.map((value, column) => (value === undefined ? from[column] : value));
}

function sameValues(a: RawRow, b: RawRow): boolean {
  if (a.length !== b.length) return false;
  for (let column = 0; column < a.length; column++) if (a[column] !== b[column]) return false;
  return true;
}

/** Kept but not published: its gaps are filled by a targeted re-read before the table may complete (rule R7). */
function partial(prior: SourceRecord | null, row: RawRow): Effect {
  const memberships = prior?.memberships ?? [];
  const lookups = prior?.lookups ?? [];
  return {
    record: encodeRecord({ partial: true, memberships, lookups, values: row }),
    ops: [],
    lookups: [],
    partial: true,
  };
}

function complete(binding: TableBinding, key: RecordKey, prior: SourceRecord, read: RawRow): Effect | null {
  if (!prior.partial) return null;
  const row = filled(prior.values, read);
  return hasGaps(row) ? null : full(binding, key, prior, row);
}

function full(binding: TableBinding, key: RecordKey, prior: SourceRecord | null, row: RawRow): Effect {
  const output = outputOf(binding, row);
  const subkey = subkeyOf(binding.table.id, key);
  const ops: OpDraft[] = [];
  const memberships: Membership[] = [];
  for (const data of output.data) {
    ops.push(putOp(data.bucket, data.objectType, data.objectId, subkey, data.json));
    memberships.push({ bucket: data.bucket, objectType: data.objectType, objectId: data.objectId });
  }
  for (const old of prior?.memberships ?? []) {
    if (!memberships.some((m) => sameMembership(m, old))) {
      ops.push(removeOp(old.bucket, old.objectType, old.objectId, subkey));
    }
  }
  const lookupKeys = output.lookups.map((lookup) => lookup.key);
  const ended = (prior?.lookups ?? []).filter((key) => !lookupKeys.includes(key)).map((key) => ({ key, value: '' }));
  const record = encodeRecord({ partial: false, memberships, lookups: lookupKeys, values: row });
  return { record, ops, lookups: ended.length === 0 ? output.lookups : [...output.lookups, ...ended], partial: false };
}

function sameMembership(a: Membership, b: Membership): boolean {
  return a.bucket === b.bucket && a.objectId === b.objectId && a.objectType === b.objectType;
}

interface DataOutput {
  bucket: string;
  objectType: string;
  objectId: string;
  json: string;
}

/** Collects what the rules say of one row. One instance serves all rows: evaluation is synchronous. */
class OutputSink implements RowSink {
  rows: DataOutput[] = [];
  lookups: LookupDraft[] = [];
  binding: TableBinding | null = null;

  data(bucket: string, objectType: string, objectId: string, json: string): void {
    if (json.length > limits.rowBytesMax)
      return this.error(bucket, `row ${objectType}/${objectId} is larger than 15 MiB`);
    const same = this.rows.find((d) => d.bucket === bucket && d.objectId === objectId && d.objectType === objectType);
    if (same === undefined) this.rows.push({ bucket, objectType, objectId, json });
    else same.json = json;
  }

  lookup(key: string, parameterSets: string): void {
    const index = this.lookups.findIndex((lookup) => lookup.key === key);
    if (index < 0) this.lookups.push({ key, value: parameterSets });
    else this.lookups[index] = { key, value: parameterSets };
  }

  error(definition: string, message: string): void {
    this.binding?.reportRowError(definition, message);
  }
}

const sink = new OutputSink();

function outputOf(
  binding: TableBinding,
  row: RawRow,
): { data: readonly DataOutput[]; lookups: readonly LookupDraft[] } {
  sink.rows = [];
  sink.lookups = [];
  sink.binding = binding;
  binding.evaluator.evaluate(row, sink);
  return { data: sink.rows, lookups: sink.lookups };
}
