/**
 * What is remembered of a source row: the buckets and lookups it is in, and its raw values (to fill unchanged TOAST
 * columns, to see that nothing changed, and to build new definitions without the source). Opaque bytes to adapters:
 *
 *     u8 version/flags | str read-ahead position (if flagged) | varint history (if flagged, else 1) | varint n, n * (str bucket, str type, str id) | varint m, m * str lookup | varint v, v * value
 *     str = varint length + UTF-8        value = varint 0 (null) | 1 (not known) | length + 2, UTF-8
 */
import { invariant, type Position, type RawRow, type RawValue, readUtf8 } from '@sluice/core';
import { COPIED, FIRST_HISTORY, LATER_HISTORY, PARTIAL, READ_AHEAD, RecordSlab, VERSION } from './record-slab.ts';

export interface Membership {
  readonly bucket: string;
  readonly objectType: string;
  readonly objectId: string;
}

export interface SourceRecord {
  /** Some values are not known yet: the row must be completed before it may be published. */
  readonly partial: boolean;
  /**
   * Set while some values were read (copied, or re-read) and not streamed: they may be newer than what the stream has
   * said, even of another row that came to the key since. `copy`: read by the table's copy, so behind its end; else read
   * before that position. Null once all values came through the stream, or the stream has passed the read.
   */
  readonly readAhead: Position | null;
  /** The table's history in which the record was last confirmed. */
  readonly history: number;
  readonly memberships: readonly Membership[];
  readonly lookups: readonly string[];
  readonly values: RawRow;
}

const slab = new RecordSlab();

export function encodeRecord(record: SourceRecord): Uint8Array {
  slab.write(record);
  return slab.bytes.subarray(slab.start, slab.end);
}

export function decodeRecord(bytes: Uint8Array): SourceRecord {
  const reader = new RecordReader(bytes);
  const flags = reader.byte();
  invariant((flags & 0xf0) === VERSION, 'source record: unknown version');
  const readAhead = (flags & COPIED) !== 0 ? 'copy' : (flags & READ_AHEAD) !== 0 ? reader.string() : null;
  const history = (flags & LATER_HISTORY) === 0 ? FIRST_HISTORY : reader.varint();
  const memberships = reader.many(() => ({
    bucket: reader.string(),
    objectType: reader.string(),
    objectId: reader.string(),
  }));
  const lookups = reader.many(() => reader.string());
  const values = reader.many(() => reader.value());
  return { partial: (flags & PARTIAL) !== 0, readAhead, history, memberships, lookups, values };
}

/** The history of a record, without reading the rest. */
export function historyOf(bytes: Uint8Array): number {
  const reader = new RecordReader(bytes);
  const flags = reader.byte();
  if ((flags & LATER_HISTORY) === 0) return FIRST_HISTORY;
  if ((flags & READ_AHEAD) !== 0) reader.string();
  return reader.varint();
}

class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    invariant(value !== undefined, 'source record: truncated');
    return value;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  many<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.varint(); left > 0; left--) items.push(read());
    return items;
  }

  #text(length: number): string {
    const end = this.#at + length;
    invariant(end <= this.#bytes.length, 'source record: truncated');
    const text = readUtf8(this.#bytes, this.#at, end);
    this.#at = end;
    return text;
  }

  string(): string {
    return this.#text(this.varint());
  }

  value(): RawValue {
    const size = this.varint();
    if (size === 0) return null;
    if (size === 1) return undefined;
    return this.#text(size - 2);
  }
}
