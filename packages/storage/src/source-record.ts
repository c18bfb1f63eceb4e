/** Source records to bytes and back, one at a time. record-format.ts says what they look like. */
import { invariant, type RawValue, readUtf8 } from '@sluice/core';
import {
  COPIED,
  FIRST_HISTORY,
  LATER_HISTORY,
  PARTIAL,
  READ_AHEAD,
  type SourceRecord,
  VERSION,
} from './record-format.ts';
import { RecordSlab } from './record-slab.ts';

const slab = new RecordSlab();

export function encodeRecord(record: SourceRecord): Uint8Array {
  slab.write(record);
  return slab.view();
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
