/**
 * Writes source records one behind the other in large buffers: alone (record-format.ts says what they look like), or behind
 * their keys (record-slot.ts).
 */
import {
  type ByteRows,
  ByteSlab,
  type ByteSpace,
  copyBytes,
  type RawValue,
  type RecordKey,
  writeText,
} from '@sluice/core';
import {
  COPIED,
  FIRST_HISTORY,
  LATER_HISTORY,
  type Membership,
  PARTIAL,
  READ_AHEAD,
  type SourceRecord,
  VERSION,
} from './record-format.ts';
import { SLOT_HEAD_BYTES } from './record-slot.ts';

/** What a copied row's record holds beside its values. */
interface CopiedRecord {
  readonly history: number;
  readonly memberships: readonly Membership[];
  readonly lookups: readonly { readonly key: string }[];
}

export class RecordSlab extends ByteSlab {
  write(record: SourceRecord): void {
    const { readAhead, history, values } = record;
    let characters = (readAhead?.length ?? 0) + charactersOf(record.memberships);
    for (const lookup of record.lookups) characters += lookup.length + 5;
    for (const value of values) characters += (value?.length ?? 0) + 5;
    this.begin(32 + 3 * characters);
    const origin = readAhead === null ? 0 : readAhead === 'copy' ? COPIED : READ_AHEAD;
    const era = history === FIRST_HISTORY ? 0 : LATER_HISTORY;
    this.bytes[this.end++] = VERSION | origin | era | (record.partial ? PARTIAL : 0);
    if (readAhead !== null && readAhead !== 'copy') this.#string(readAhead);
    if (era !== 0) this.#varint(history);
    this.#memberships(record.memberships);
    this.#varint(record.lookups.length);
    for (const lookup of record.lookups) this.#string(lookup);
    this.#varint(values.length);
    for (const value of values) this.#value(value);
  }

  /** Key and record of a copied row, the one that `rows` looks at. */
  writeCopied(key: RecordKey, rows: ByteRows, about: CopiedRecord): void {
    const { columns, starts, ends } = rows;
    const first = rows.at * columns;
    let characters = key.length + charactersOf(about.memberships);
    for (const { key: lookup } of about.lookups) characters += lookup.length + 5;
    this.begin(32 + 3 * characters + (rows.rowEnd - rows.rowStart) + 5 * columns);
    this.#slotHead(key);
    const era = about.history === FIRST_HISTORY ? 0 : LATER_HISTORY;
    this.bytes[this.end++] = VERSION | COPIED | era;
    if (era !== 0) this.#varint(about.history);
    this.#memberships(about.memberships);
    this.#varint(about.lookups.length);
    for (const { key: lookup } of about.lookups) this.#string(lookup);
    this.#varint(columns);
    for (let index = first; index < first + columns; index++) {
      const start = starts[index] as number;
      if (start < 0) this.bytes[this.end++] = 0;
      else this.#copy(rows.space, start, ends[index] as number);
    }
  }

  #slotHead(key: RecordKey): void {
    const keyBytes = writeText(this.bytes, key, this.end + SLOT_HEAD_BYTES);
    this.bytes[this.end] = 0;
    this.bytes[this.end + 1] = keyBytes & 0xff;
    this.bytes[this.end + 2] = keyBytes >>> 8;
    this.end += SLOT_HEAD_BYTES + keyBytes;
  }

  #memberships(memberships: readonly Membership[]): void {
    this.#varint(memberships.length);
    for (const { bucket, objectType, objectId } of memberships) {
      this.#string(bucket);
      this.#string(objectType);
      this.#string(objectId);
    }
  }

  #varint(value: number): void {
    while (value > 0x7f) {
      this.bytes[this.end++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.bytes[this.end++] = value;
  }

  #string(value: string): void {
    this.#sized(value, 0);
  }

  #value(value: RawValue): void {
    if (value === null) this.bytes[this.end++] = 0;
    else if (value === undefined) this.bytes[this.end++] = 1;
    else this.#sized(value, 2);
  }

  #copy(source: ByteSpace, start: number, end: number): void {
    const length = end - start;
    if (length + 2 <= 0x7f) this.bytes[this.end++] = length + 2;
    else this.#varint(length + 2);
    this.end = copyBytes(source, start, end, this.space, this.end);
  }

  /**
   * Length (plus `bias`) and bytes. The text is written first, behind as many length bytes as it can need, so that its
   * UTF-8 length need not be counted before.
   */
  #sized(value: string, bias: number): void {
    const { bytes, end: at } = this;
    if (value.length <= 40) {
      const length = writeText(bytes, value, at + 1);
      bytes[at] = length + bias;
      this.end = at + 1 + length;
    } else if (value.length <= 5000) {
      const length = writeText(bytes, value, at + 2);
      const size = length + bias;
      bytes[at] = (size & 0x7f) | 0x80;
      bytes[at + 1] = size >>> 7;
      this.end = at + 2 + length;
    } else {
      this.#varint(Buffer.byteLength(value) + bias);
      this.end += writeText(bytes, value, this.end);
    }
  }
}

/** What stands before the memberships of a copied row's record, and between these and the values if it has no lookups. */
export function copiedRecordFrame(history: number, columns: number): { readonly head: Buffer; readonly tail: Buffer } {
  const era = history === FIRST_HISTORY ? [VERSION | COPIED] : [VERSION | COPIED | LATER_HISTORY, ...varint(history)];
  return { head: Buffer.from(era), tail: Buffer.from([0, ...varint(columns)]) };
}

function varint(value: number): number[] {
  return value > 0x7f ? [(value & 0x7f) | 0x80, ...varint(value >>> 7)] : [value];
}

function charactersOf(memberships: readonly Membership[]): number {
  let characters = 0;
  for (const m of memberships) characters += m.bucket.length + m.objectType.length + m.objectId.length + 15;
  return characters;
}
