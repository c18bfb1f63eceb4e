/**
 * The smallest rules that use everything an adapter handles: a row names its buckets and lookups itself. Stands where
 * sync rules stand in the product.
 */
import { isDeepStrictEqual } from 'node:util';
import { decodeOp, invariant, putOp, type RecordKey, removeOp, type TableId } from '@sluice/core';
import type { TableState } from '../table-state.ts';
import type { Effect, LookupDraft } from '../effect.ts';
import type { RowWrite } from '../row-write.ts';

/** A row as it shall be; `row: null` deletes it. */
export interface ToyWrite extends RowWrite {
  readonly row: ToyRow | null;
}

export interface ToyRow {
  readonly value: string;
  readonly buckets: readonly string[];
  /** Lookup key → value. */
  readonly lookups?: Readonly<Record<string, string>>;
  readonly partial?: boolean;
  /** Whether it was stored while its table was staged, and has not been published. */
  readonly staged?: boolean;
  /** The table's history when it was written. */
  readonly history?: number;
}

export function put(table: TableState, key: RecordKey, value: string, row: Partial<ToyRow> = {}): ToyWrite {
  return { tableId: table.id, key, row: { value, buckets: ['all'], ...row } };
}

export function remove(table: TableState, key: RecordKey): ToyWrite {
  return { tableId: table.id, key, row: null };
}

export function evaluateToyRow(
  write: ToyWrite,
  prior: Uint8Array | null,
  moved: Uint8Array | null,
  table: TableState,
): Effect {
  const { history } = table;
  const before = prior === null ? null : decodeToyRow(prior);
  if (write.row === null) return endOf(write.tableId, write.key, before);
  if (write.row.partial === true)
    return { record: encodeToyRow({ ...write.row, history }), ops: [], lookups: [], partial: true };
  // A row that moved keeps a trace of where it came from: that is how tests see that `moved` was loaded.
  const from = moved === null ? '' : ` from ${decodeToyRow(moved).value}`;
  const row: ToyRow = { ...write.row, value: write.row.value + from, history };
  if (table.visibility === 'staged')
    return { record: encodeToyRow({ ...row, staged: true }), ops: [], lookups: [], partial: false };
  const left = endOf(write.tableId, write.key, before && without(before, row));
  const shown = shownToyRow(write, row);
  return { ...shown, ops: [...shown.ops, ...left.ops], lookups: [...shown.lookups, ...left.lookups] };
}

function shownToyRow(at: Pick<ToyWrite, 'tableId' | 'key'>, row: ToyRow): Effect {
  const lookups: LookupDraft[] = Object.entries(row.lookups ?? {}).map(([key, value]) => ({ key, value }));
  const ops = row.buckets.map((bucket) => toyPut(bucket, at, row.value));
  return { record: encodeToyRow(row), ops, lookups, partial: false };
}

/** What the publishing of a staged row amounts to. */
export function publishToyRow(table: TableState, key: RecordKey, record: Uint8Array): Effect | null {
  const { staged, ...row } = decodeToyRow(record);
  return staged === true && row.partial !== true ? shownToyRow({ tableId: table.id, key }, row) : null;
}

/** A copied row: leaves what the table's history has confirmed, and tells only what differs from older records. */
export function compareToyRow(
  write: ToyWrite,
  prior: Uint8Array | null,
  moved: Uint8Array | null,
  table: TableState,
): Effect | null {
  const before = prior === null ? null : decodeToyRow(prior);
  if (before?.history === table.history) return null;
  const effect = evaluateToyRow(write, prior, moved, table);
  const wasShown = before !== null && before.staged !== true;
  const isSame = wasShown && write.row !== null && isDeepStrictEqual(contentOf(before), contentOf(write.row));
  return isSame ? { ...effect, ops: [], lookups: [] } : effect;
}

function contentOf({ value, buckets, lookups, partial }: ToyRow): Omit<ToyRow, 'history' | 'staged'> {
  return { value, buckets, lookups: lookups ?? {}, partial: partial ?? false };
}

/** The end of what a copy has not met. */
export function sweepToyRow(table: TableState, key: RecordKey, record: Uint8Array): Effect | null {
  return decodeToyRow(record).history === table.history ? null : eraseToyRow(table, key, record);
}

export function eraseToyRow(table: TableState, key: RecordKey, record: Uint8Array): Effect {
  return endOf(table.id, key, decodeToyRow(record));
}

function toyPut(bucket: string, { tableId, key }: Pick<ToyWrite, 'tableId' | 'key'>, value: string) {
  return putOp(bucket, 'rows', key, subkeyOf(tableId, key), JSON.stringify({ value }));
}

function endOf(table: TableId, key: RecordKey, row: ToyRow | null): Effect {
  const published = row === null || row.partial === true || row.staged === true ? null : row;
  return {
    record: null,
    ops: (published?.buckets ?? []).map((bucket) => removeOp(bucket, 'rows', key, subkeyOf(table, key))),
    lookups: Object.keys(published?.lookups ?? {}).map((lookup) => ({ key: lookup, value: '' })),
    partial: false,
  };
}

/** What of `before` is not in `row` any more. */
function without(before: ToyRow, row: ToyRow): ToyRow {
  const gone = Object.entries(before.lookups ?? {}).filter(([key]) => row.lookups?.[key] === undefined);
  return {
    ...before,
    buckets: before.buckets.filter((bucket) => !row.buckets.includes(bucket)),
    lookups: Object.fromEntries(gone),
  };
}

function subkeyOf(table: TableId, key: RecordKey): string {
  return `${table}.${key}`;
}

function encodeToyRow(row: ToyRow): Uint8Array {
  return Buffer.from(JSON.stringify(row));
}

export function decodeToyRow(record: Uint8Array): ToyRow {
  return JSON.parse(Buffer.from(record).toString()) as ToyRow;
}

/** Applies ops as a client does. */
export function reduceOps(bodies: readonly Uint8Array[]): Record<string, string> {
  const rows = new Map<string, { readonly id: string; readonly value: string }>();
  for (const body of bodies) {
    const op = decodeOp(body);
    const subkey = op.subkey ?? '';
    if (op.op === 'REMOVE') rows.delete(subkey);
    else rows.set(subkey, { id: op.objectId ?? '', value: valueOf(op.data) });
  }
  const sorted = [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return Object.fromEntries(sorted.map(({ id, value }) => [id, value]));
}

function valueOf(data: string | undefined): string {
  invariant(data !== undefined, 'a put without data');
  return (JSON.parse(data) as { value: string }).value;
}
