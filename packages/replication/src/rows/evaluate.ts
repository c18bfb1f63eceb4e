/**
 * The heart: (prior record, change) → ops, lookups, next record. Pure, written once, called by storage adapters inside
 * their transactions (and perhaps again, if a record changed in between). Rows are put whole; buckets and lookups that
 * the row left are ended; what did not change is not written.
 */
import {
  BEFORE_ALL,
  limits,
  type OpDraft,
  type Position,
  putOp,
  type RawRow,
  type RecordKey,
  removeOp,
  SluiceError,
  type TableId,
} from '@sluice/core';
import {
  decodeRecord,
  type Effect,
  encodeRecord,
  historyOf,
  type LookupDraft,
  type Membership,
  type SourceRecord,
  type TableState,
} from '@sluice/storage';
import type { RowSink } from '@sluice/sync-rules';
import type { ChangeWrite, CompleteWrite, UpsertWrite } from './row-write.ts';
import type { TableBinding } from '../tables/table-binding.ts';

export function evaluate(
  write: ChangeWrite,
  prior: Uint8Array | null,
  moved: Uint8Array | null,
  table: TableState,
): Effect | null {
  switch (write.kind) {
    case 'upsert':
      if (write.boundary !== null && isInCopy(write.boundary, table)) return null;
      return upsert(
        asKept(write, table),
        prior === null ? null : decodeRecord(prior),
        moved === null ? null : decodeRecord(moved),
        table,
      );
    case 'delete':
      if (isInCopy(write.boundary, table)) return null;
      return prior === null ? nothingLeft : erase(write.tableId, write.key, prior);
    case 'complete':
      if (prior === null || Buffer.compare(prior, write.expected) !== 0) return null;
      return complete(write, decodeRecord(prior), table);
  }
}

/**
 * Whether the change is from before the table was found as it is now: that may have happened while the write was on its
 * way here. Its outcome is in the copy, which would take a record of it for something newer.
 */
function isInCopy(boundary: Position, { relation }: TableState): boolean {
  return relation.found !== undefined && boundary <= relation.found.at;
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
export function subkeyOf(tableId: TableId, key: RecordKey): string {
  return `${tableId}.${key}`;
}

/** The row with the columns that the table is stored with, where the stream has more (see `TableBinding.cut`). */
function asKept(write: UpsertWrite, { relation: { columns } }: TableState): UpsertWrite {
  const { row, binding } = write;
  if (binding.cut === null || row.length <= columns.length) return write;
  return { ...write, binding: binding.cut, row: row.slice(0, columns.length) };
}

function upsert(
  write: UpsertWrite,
  prior: SourceRecord | null,
  moved: SourceRecord | null,
  table: TableState,
): Effect | null {
  const { history } = table;
  // A copy may say something new only about what no longer counts.
  if (write.boundary === null && prior !== null && prior.history === history) return null;
  const { row, readAhead } = write.boundary === null ? copied(write.row) : withoutGaps(write, prior, moved, table);
  if (hasGaps(row)) return partial(prior, { row, readAhead, history });
  if (prior !== null && !prior.partial) {
    if (sameValues(prior.values, row)) {
      return prior.history === history ? null : confirmed({ ...prior, readAhead, history });
    }
    if (prior.history === history && isTold(prior) && sameForRules(write.binding, prior.values, row)) {
      return confirmed({ ...prior, readAhead, values: row });
    }
  }
  return full({ ...write, table }, prior, { row, readAhead, history });
}

/** Whether anything of the row is shown: one that was stored aside, or is in no bucket, has nothing to be left alone. */
function isTold({ memberships, lookups }: SourceRecord): boolean {
  return memberships.length > 0 || lookups.length > 0;
}

/** Whether nothing changed that the rules read: then the same is told of both rows (rule R17). */
function sameForRules({ evaluator: { reads } }: TableBinding, before: RawRow, row: RawRow): boolean {
  return reads?.every((column) => before[column] === row[column]) ?? false;
}

/** Clients hold what the row amounts to: nothing to be told, but it is remembered as it is now. */
function confirmed(record: SourceRecord): Effect {
  return { record: encodeRecord(record), ops: [], lookups: [], partial: false };
}

/** The end of a record that its table's copy has not met in this history: the row vanished meanwhile. */
export function sweep(table: TableState, key: RecordKey, record: Uint8Array): Effect | null {
  return historyOf(record) === table.history ? null : erase(table.id, key, record);
}

interface FilledRow {
  readonly row: RawRow;
  readonly readAhead: SourceRecord['readAhead'];
}

/** A row as it will be remembered. */
interface KnownRow extends FilledRow {
  readonly history: number;
}

function copied(row: RawRow): FilledRow {
  return { row, readAhead: 'copy' };
}

/**
 * Unchanged values of a streamed row, from what is known. A row that moved takes them along from its old key, but only
 * if they came through the stream or from a read that the stream has passed: a read may have seen another row that came
 * to the old key later, and so may a record that a replayed transaction finds. At the same key such values are right by
 * the time that any checkpoint can show them. What was known in an older history fills nothing.
 */
function withoutGaps(
  write: UpsertWrite,
  prior: SourceRecord | null,
  moved: SourceRecord | null,
  table: TableState,
): FilledRow {
  let filling: FilledRow = { row: write.row, readAhead: null };
  if (!hasGaps(write.row)) return filling;
  const boundary = write.boundary ?? BEFORE_ALL;
  if (moved?.history === table.history && !write.replayed && isPassed(moved, table, boundary))
    filling = fill(filling, moved, null);
  if (prior?.history === table.history)
    filling = fill(filling, prior, isPassed(prior, table, boundary) ? null : prior.readAhead);
  return filling;
}

function isPassed({ readAhead }: SourceRecord, table: TableState, boundary: Position): boolean {
  if (readAhead === null) return true;
  const end = readAhead === 'copy' ? table.endPosition : readAhead;
  return end !== null && boundary > end;
}

function fill(filling: FilledRow, from: SourceRecord, readAhead: FilledRow['readAhead']): FilledRow {
  if (!hasGaps(filling.row)) return filling;
  return { row: filled(filling.row, from.values), readAhead };
}

function hasGaps(row: RawRow): boolean {
  return row.includes(undefined);
}

function filled(row: RawRow, from: RawRow): RawRow {
  return row.map((value, column) => (value === undefined ? from[column] : value));
}

/** To the columns that are known now: newer ones are missing, those that are gone are left out. */
function padded(row: RawRow, columns: number): RawRow {
  return row.length === columns ? row : Array.from({ length: columns }, (_, column) => row[column]);
}

function sameValues(a: RawRow, b: RawRow): boolean {
  if (a.length !== b.length) return false;
  for (let column = 0; column < a.length; column++) if (a[column] !== b[column]) return false;
  return true;
}

/** Kept but not published: its gaps are filled by a targeted re-read before any checkpoint (rule R7). */
function partial(prior: SourceRecord | null, { row, readAhead, history }: KnownRow): Effect {
  const memberships = prior?.memberships ?? [];
  const lookups = prior?.lookups ?? [];
  const record = encodeRecord({ partial: true, readAhead, history, memberships, lookups, values: row });
  return { record, ops: [], lookups: [], partial: true };
}

function complete(write: CompleteWrite, prior: SourceRecord, table: TableState): Effect | null {
  const { history } = table;
  if (!prior.partial || prior.history !== history) return null;
  const row = filled(padded(prior.values, write.row.length), write.row);
  return hasGaps(row) ? null : full({ ...write, table }, prior, { row, readAhead: write.readBefore, history });
}

interface RowPlace {
  readonly binding: TableBinding;
  readonly key: RecordKey;
  /** As it is inside the transaction. */
  readonly table: TableState;
}

function full(place: RowPlace, prior: SourceRecord | null, known: KnownRow): Effect {
  return place.table.visibility === 'staged' ? staged(known) : shown(place, prior, known);
}

/** Stored aside: what it amounts to in buckets is found out when its table is published. */
function staged({ row, readAhead, history }: KnownRow): Effect {
  const record = encodeRecord({ partial: false, readAhead, history, memberships: [], lookups: [], values: row });
  return { record, ops: [], lookups: [], partial: false };
}

/**
 * What the publishing of a staged record amounts to. Null if nothing is to be written: it is in no bucket, or it has been
 * published (by an earlier part, or by the stream since), or its gaps are filled first, which publishes it.
 */
export function publish(binding: TableBinding, table: TableState, key: RecordKey, record: Uint8Array): Effect | null {
  const prior = decodeRecord(record);
  if (prior.partial || prior.memberships.length > 0 || prior.lookups.length > 0) return null;
  const { values: row, readAhead, history } = prior;
  const effect = shown({ binding, key, table }, prior, { row, readAhead, history });
  return effect.ops.length === 0 && effect.lookups.length === 0 ? null : effect;
}

function shown({ binding, key }: RowPlace, prior: SourceRecord | null, known: KnownRow): Effect {
  const { row, readAhead, history } = known;
  const output = outputOf(binding, row);
  const held = prior === null || prior.history === history ? nothingHeld : heldBefore(binding, prior, row.length);
  const subkey = subkeyOf(binding.table.id, key);
  const ops: OpDraft[] = [];
  const memberships: Membership[] = [];
  for (const data of output.data) {
    if (!held(data)) ops.push(putOp(data.bucket, data.objectType, data.objectId, subkey, data.json));
    memberships.push({ bucket: data.bucket, objectType: data.objectType, objectId: data.objectId });
  }
  for (const old of prior?.memberships ?? []) {
    if (!memberships.some((m) => sameMembership(m, old))) {
      ops.push(removeOp(old.bucket, old.objectType, old.objectId, subkey));
    }
  }
  const lookupKeys = output.lookups.map((lookup) => lookup.key);
  const ended = (prior?.lookups ?? []).filter((key) => !lookupKeys.includes(key)).map((key) => ({ key, value: '' }));
  const record = encodeRecord({ partial: false, readAhead, history, memberships, lookups: lookupKeys, values: row });
  return { record, ops, lookups: ended.length === 0 ? output.lookups : [...output.lookups, ...ended], partial: false };
}

const nothingHeld = (): boolean => false;

/** Whether clients hold an object just so, by the record of an older history: then it is not sent again. */
function heldBefore(binding: TableBinding, prior: SourceRecord, columns: number): (data: DataOutput) => boolean {
  const added = columns - prior.values.length;
  if (prior.partial || added < 0) return nothingHeld;
  // A client knows no difference between a column that it was not sent and one that is null.
  const before = outputOf(binding, [...prior.values, ...Array<null>(added).fill(null)]).data;
  return (data) =>
    prior.memberships.some((membership) => sameMembership(membership, data)) &&
    before.some((known) => sameMembership(known, data) && known.json === data.json);
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

export function rowTooLarge(objectType: string, objectId: string): SluiceError {
  return new SluiceError('PSYNC_S1002', `the row is larger than 15 MiB`, { where: `${objectType}/${objectId}` });
}

/** Collects what the rules say of one row. One instance serves all rows: evaluation is synchronous. */
class OutputSink implements RowSink {
  rows: DataOutput[] = [];
  lookups: LookupDraft[] = [];
  binding: TableBinding | null = null;

  data(bucket: string, objectType: string, objectId: string, json: string): void {
    if (json.length > limits.rowBytesMax) return this.error(bucket, rowTooLarge(objectType, objectId).describe());
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
