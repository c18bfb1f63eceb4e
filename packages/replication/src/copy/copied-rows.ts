/**
 * Copied rows, taken in as they arrive: evaluated and packed, since a copied row needs no prior record, as it is written
 * only if there is none (docs/decisions/0012-byte-path-of-copies.md); or kept, where the table's rows must be compared with
 * records of an older history.
 */
import { type ByteRows, limits, OpSlab, recordKey, type RecordKey } from '@sluice/core';
import {
  type ComparedRows,
  type LookupDraft,
  type Membership,
  PackedRows,
  RecordSlab,
  type SnapshotFlush,
} from '@sluice/storage';
import type { JsonBytes, RowSink } from '@sluice/sync-rules';
import { evaluate, rowTooLarge, subkeyOf } from '../rows/evaluate.ts';
import type { UpsertWrite } from '../rows/row-write.ts';
import type { TableBinding } from '../tables/table-binding.ts';

export interface CopiedRows {
  readonly binding: TableBinding;
  readonly count: number;
  /** What a flush takes. */
  readonly flushed: SnapshotFlush<UpsertWrite>['rows'];
  /** Adds the row that is looked at. */
  add(rows: ByteRows): void;
}

export function copiedRows(binding: TableBinding): CopiedRows {
  return binding.table.unconfirmed ? new RowsToCompare(binding) : new RowPacker(binding);
}

function keyOf(rows: ByteRows, keyColumns: readonly number[]): RecordKey {
  const [column] = keyColumns;
  if (column !== undefined && keyColumns.length === 1) return recordKey([rows.text(column)], FIRST);
  return recordKey(rows.row(), keyColumns);
}

const FIRST: readonly number[] = [0];

class RowsToCompare implements CopiedRows {
  readonly binding: TableBinding;
  readonly #writes: UpsertWrite[] = [];

  constructor(binding: TableBinding) {
    this.binding = binding;
  }

  get count(): number {
    return this.#writes.length;
  }

  get flushed(): ComparedRows<UpsertWrite> {
    return { writes: this.#writes, evaluate };
  }

  add(rows: ByteRows): void {
    const { binding } = this;
    const key = keyOf(rows, binding.keyColumns);
    const at = { tableId: binding.table.id, key, boundary: null, replayed: false };
    this.#writes.push({ kind: 'upsert', binding, row: rows.row(), ...at });
  }
}

/** Shared by all copies: evaluation is synchronous, and what is written stays. */
const ops = new OpSlab();
const records = new RecordSlab();

class RowPacker implements CopiedRows, RowSink<JsonBytes> {
  readonly binding: TableBinding;
  readonly flushed: PackedRows;
  readonly #isShown: boolean;
  /** Of the row that is added. */
  #rows: ByteRows | null = null;
  #subkey = '';
  #firstOp = 0;
  #memberships: Membership[] = [];
  #lookups: LookupDraft[] = [];

  constructor(binding: TableBinding) {
    this.binding = binding;
    this.flushed = new PackedRows(binding.table.id);
    this.#isShown = binding.table.visibility !== 'staged';
  }

  get count(): number {
    return this.flushed.count;
  }

  add(rows: ByteRows): void {
    const { keyColumns, table, copyEvaluator } = this.binding;
    const key = keyOf(rows, keyColumns);
    this.#rows = rows;
    this.#subkey = subkeyOf(table.id, key);
    this.#firstOp = this.flushed.opCount;
    this.#memberships = [];
    this.#lookups = [];
    if (this.#isShown) copyEvaluator.evaluate(rows, this);
    records.writeCopied(key, rows, { history: table.history, memberships: this.#memberships, lookups: this.#lookups });
    this.flushed.endRow(records, this.#lookups);
  }

  data(bucket: string, objectType: string, objectId: string, json: JsonBytes): void {
    const rows = this.#rows as ByteRows;
    const start = ops.beginPut({ objectType, objectId, subkey: this.#subkey }, json.prepare(rows));
    const end = json.write(rows, ops.space, start);
    if (end - start > limits.rowBytesMax && ops.bytes.toString('utf8', start, end).length > limits.rowBytesMax) {
      return this.error(bucket, rowTooLarge(objectType, objectId).describe());
    }
    const checksum = ops.endPut(end);
    const same = this.#same(bucket, objectType, objectId);
    if (same >= 0) return this.flushed.replaceOp(this.#firstOp + same, checksum, ops);
    this.flushed.addOp(bucket, checksum, ops);
    this.#memberships.push({ bucket, objectType, objectId });
  }

  #same(bucket: string, objectType: string, objectId: string): number {
    const memberships = this.#memberships;
    for (let at = 0; at < memberships.length; at++) {
      const known = memberships[at] as Membership;
      if (known.bucket === bucket && known.objectId === objectId && known.objectType === objectType) return at;
    }
    return -1;
  }

  lookup(key: string, value: string): void {
    const same = this.#lookups.findIndex((lookup) => lookup.key === key);
    if (same < 0) this.#lookups.push({ key, value });
    else this.#lookups[same] = { key, value };
  }

  error(definition: string, message: string): void {
    this.binding.reportRowError(definition, message);
  }
}
