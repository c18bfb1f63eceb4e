/** Evaluates and packs copied rows one by one, in TypeScript, whatever they are. */
import { type ByteRows, LentBuffers, limits, OpSlab, recordKey, type RecordKey } from '@sluice/core';
import { type LookupDraft, type Membership, PackedRows, RecordSlab } from '@sluice/storage';
import type { JsonBytes, ObjectId, RowSink } from '@sluice/sync-rules';
import { rowTooLarge, subkeyOf } from '../rows/evaluate.ts';
import type { TableBinding } from '../tables/table-binding.ts';

const FIRST: readonly number[] = [0];

export function copiedKey(rows: ByteRows, keyColumns: readonly number[]): RecordKey {
  const [column] = keyColumns;
  if (column !== undefined && keyColumns.length === 1) return recordKey([rows.text(column)], FIRST);
  return recordKey(rows.row(), keyColumns);
}

export class RowPacker implements RowSink<JsonBytes> {
  readonly binding: TableBinding;
  readonly flushed: PackedRows;
  readonly #buffers = new LentBuffers();
  readonly ops = new OpSlab(this.#buffers);
  readonly records = new RecordSlab(this.#buffers);
  readonly #isShown: boolean;
  /** Of the row that is added. */
  #rows: ByteRows | null = null;
  #key = '';
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

  add(rows: ByteRows, from: number, to: number): void {
    for (rows.at = from; rows.at < to; rows.at++) {
      this.begin(rows);
      if (this.#isShown) this.binding.copyEvaluator.evaluate(rows, this);
      this.end();
    }
  }

  /** The row that is looked at: what follows is of it, up to `end`. */
  begin(rows: ByteRows): void {
    const { keyColumns, table } = this.binding;
    this.#rows = rows;
    this.#key = copiedKey(rows, keyColumns);
    this.#subkey = subkeyOf(table.id, this.#key);
    this.#firstOp = this.flushed.opCount;
    this.#memberships = [];
    this.#lookups = [];
  }

  end(): void {
    const about = { history: this.binding.table.history, memberships: this.#memberships, lookups: this.#lookups };
    const { records } = this;
    records.writeCopied(this.#key, this.#rows as ByteRows, about);
    this.flushed.endRow(records, this.#lookups);
  }

  data(bucket: string, objectType: string, id: ObjectId<JsonBytes>, json: JsonBytes): void {
    const { ops } = this;
    const rows = this.#rows as ByteRows;
    const objectId = typeof id === 'number' ? (rows.text(id) ?? '') : id;
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

  release(): void {
    this.#buffers.giveBack();
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
