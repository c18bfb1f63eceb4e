/**
 * Copied rows with what they amount to, packed as they arrive: bodies of ops and records one behind the other in large
 * buffers, numbers in lists, so that a flush of many rows is few objects. A copied row needs no prior record to be
 * evaluated, since it is written only if there is none, unless its table compares with records of an older history
 * (docs/decisions/0012-byte-path-of-copies.md).
 */
import { type ByteRows, limits, type OpDraft, OpSlab, recordKey, type RecordKey } from '@sluice/core';
import {
  decodeRecord,
  type Effect,
  type Evaluate,
  type LookupDraft,
  type Membership,
  RecordSlab,
  type RowWrite,
  type TableState,
} from '@sluice/storage';
import type { JsonBytes, RowSink } from '@sluice/sync-rules';
import { evaluate, rowTooLarge, subkeyOf } from '../rows/evaluate.ts';
import type { UpsertWrite } from '../rows/row-write.ts';
import type { TableBinding } from '../tables/table-binding.ts';

export interface CopiedRow extends RowWrite {
  readonly rows: CopiedRows;
  readonly at: number;
}

/** For storage: what was evaluated before, and the comparison with an older record where that is still to be done. */
export const evaluateCopied: Evaluate<CopiedRow> = ({ rows, at }, prior, _, table) =>
  rows.isEvaluated ? rows.effect(at) : evaluate(rows.upsert(at), prior, null, table);

/** Shared by all copies: evaluation is synchronous, and what is written stays. */
const ops = new OpSlab();
const records = new RecordSlab();

/** Where something is in a slab. */
interface Places {
  readonly bytes: Buffer[];
  readonly starts: number[];
  readonly ends: number[];
}

const noPlaces = (): Places => ({ bytes: [], starts: [], ends: [] });

export class CopiedRows {
  readonly writes: CopiedRow[] = [];
  readonly #binding: TableBinding;
  readonly #sink: PackingSink;
  readonly #records = noPlaces();
  /** For each row, how many ops there are before its own. */
  readonly #firstOps: number[] = [];
  readonly #lookups = new Map<number, readonly LookupDraft[]>();

  constructor(binding: TableBinding) {
    this.#binding = binding;
    this.#sink = new PackingSink(binding);
  }

  get table(): TableState {
    return this.#binding.table;
  }

  /** Adds the row that is looked at. */
  add(rows: ByteRows): void {
    const { keyColumns, table } = this.#binding;
    const key = keyOf(rows, keyColumns);
    const sink = this.#sink;
    this.#firstOps.push(sink.checksums.length);
    sink.begin(rows, subkeyOf(table.id, key));
    if (this.isEvaluated && table.visibility !== 'staged') this.#binding.copyEvaluator.evaluate(rows, sink);
    const { memberships, lookups } = sink;
    const lookupKeys = lookups.length === 0 ? NONE : lookups.map((lookup) => lookup.key);
    records.writeCopied(rows, { history: table.history, memberships, lookups: lookupKeys });
    put(this.#records, records);
    if (lookups.length > 0) this.#lookups.set(this.writes.length, lookups);
    this.writes.push({ tableId: table.id, key, rows: this, at: this.writes.length });
  }

  /** Where records of an older history may stand, a row is evaluated when its record is known. */
  get isEvaluated(): boolean {
    return !this.#binding.table.unconfirmed;
  }

  upsert(at: number): UpsertWrite {
    const { tableId, key } = this.writes[at] as CopiedRow;
    const row = decodeRecord(view(this.#records, at)).values;
    return { kind: 'upsert', binding: this.#binding, tableId, key, row, boundary: null, replayed: false };
  }

  effect(at: number): Effect {
    const { buckets, checksums, places } = this.#sink;
    const drafts: OpDraft[] = [];
    const end = this.#firstOps[at + 1] ?? checksums.length;
    for (let op = this.#firstOps[at] as number; op < end; op++) {
      drafts.push({ bucket: buckets[op] as string, checksum: checksums[op] as number, body: view(places, op) });
    }
    return { record: view(this.#records, at), ops: drafts, lookups: this.#lookups.get(at) ?? NONE, partial: false };
  }
}

const NONE: readonly never[] = [];
const FIRST: readonly number[] = [0];

function keyOf(rows: ByteRows, keyColumns: readonly number[]): RecordKey {
  const values = keyColumns.map((column) => rows.text(column));
  return recordKey(values, values.length === 1 ? FIRST : values.map((_, index) => index));
}

function put({ bytes, starts, ends }: Places, slab: OpSlab | RecordSlab, at = bytes.length): void {
  bytes[at] = slab.bytes;
  starts[at] = slab.start;
  ends[at] = slab.end;
}

function view({ bytes, starts, ends }: Places, at: number): Uint8Array {
  // A tenth of a microsecond less than `subarray`.
  const { buffer, byteOffset } = bytes[at] as Buffer;
  const start = starts[at] as number;
  return new Uint8Array(buffer, byteOffset + start, (ends[at] as number) - start);
}

/** Writes the outputs of one row after the other. */
class PackingSink implements RowSink<JsonBytes> {
  readonly buckets: string[] = [];
  readonly checksums: number[] = [];
  readonly places = noPlaces();
  /** Of the row that is evaluated. */
  memberships: Membership[] = [];
  lookups: LookupDraft[] = [];
  readonly #binding: TableBinding;
  #rows: ByteRows | null = null;
  #subkey = '';
  #firstOp = 0;

  constructor(binding: TableBinding) {
    this.#binding = binding;
  }

  begin(rows: ByteRows, subkey: string): void {
    this.#rows = rows;
    this.#subkey = subkey;
    this.#firstOp = this.checksums.length;
    this.memberships = [];
    this.lookups = [];
  }

  data(bucket: string, objectType: string, objectId: string, json: JsonBytes): void {
    const rows = this.#rows as ByteRows;
    const start = ops.beginPut({ objectType, objectId, subkey: this.#subkey }, json.prepare(rows));
    const end = json.write(rows, ops.space, start);
    if (end - start > limits.rowBytesMax && ops.bytes.toString('utf8', start, end).length > limits.rowBytesMax) {
      return this.error(bucket, rowTooLarge(objectType, objectId).describe());
    }
    const checksum = ops.endPut(end);
    const same = this.memberships.findIndex(
      (m) => m.bucket === bucket && m.objectId === objectId && m.objectType === objectType,
    );
    const op = same < 0 ? this.checksums.length : this.#firstOp + same;
    this.buckets[op] = bucket;
    this.checksums[op] = checksum;
    put(this.places, ops, op);
    if (same < 0) this.memberships.push({ bucket, objectType, objectId });
  }

  lookup(key: string, value: string): void {
    const same = this.lookups.findIndex((lookup) => lookup.key === key);
    if (same < 0) this.lookups.push({ key, value });
    else this.lookups[same] = { key, value };
  }

  error(definition: string, message: string): void {
    this.#binding.reportRowError(definition, message);
  }
}
