/**
 * Complete rows as UTF-8, all values of many rows in one buffer: what a copy reads. No string is made of a value before
 * someone asks for it. One row at a time is looked at, so that a reader needs no object per row.
 */
import { isAscii } from 'node:buffer';
import { ByteSpace } from './byte-space.ts';
import type { RawRow } from './change.ts';
import { readAscii, readUtf8 } from './text-bytes.ts';

/** Stands in `starts` for NULL. */
const NULL_START = -1;

export class ByteRows {
  readonly columns: number;
  readonly count: number;
  readonly bytes: Buffer;
  readonly space: ByteSpace;
  /** Where value `row * columns + column` starts in `bytes`; negative for NULL. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The row that is looked at. */
  at = 0;
  /** Whether bytes and characters are the same; null before anyone has asked for a text. */
  #isAscii: boolean | null = null;
  /** The text that was asked for last: keys and ids often are the same column. */
  #lastIndex = -1;
  #lastText = '';

  constructor(columns: number, rows: Pick<ByteRows, 'count' | 'bytes' | 'starts' | 'ends'>) {
    this.columns = columns;
    this.count = rows.count;
    this.bytes = rows.bytes;
    this.space = new ByteSpace(rows.bytes);
    this.starts = rows.starts;
    this.ends = rows.ends;
  }

  /** @param columns of each row; rows must be complete */
  static of(rows: readonly RawRow[], columns: number): ByteRows {
    const values = rows.flatMap((row) => row.slice(0, columns));
    const parts = values.map((value) => Buffer.from(value ?? ''));
    const ends = new Int32Array(values.length);
    const starts = new Int32Array(values.length);
    let end = 0;
    for (const [index, part] of parts.entries()) {
      starts[index] = typeof values[index] === 'string' ? end : NULL_START;
      ends[index] = end += part.length;
    }
    return new ByteRows(columns, { count: rows.length, bytes: Buffer.concat(parts), starts, ends });
  }

  /** Where the values of the row that is looked at start in `bytes`. */
  get rowStart(): number {
    return this.startOf(this.at);
  }

  get rowEnd(): number {
    return this.startOf(this.at + 1);
  }

  /** Where the values of a row start. */
  startOf(row: number): number {
    const first = row * this.columns;
    return first === 0 ? 0 : (this.ends[first - 1] as number);
  }

  /** A value of the row that is looked at; null for NULL. */
  text(column: number): string | null {
    const index = this.at * this.columns + column;
    const start = this.starts[index] as number;
    if (start < 0) return null;
    if (index !== this.#lastIndex) {
      this.#isAscii ??= isAscii(this.bytes);
      this.#lastText = (this.#isAscii ? readAscii : readUtf8)(this.bytes, start, this.ends[index] as number);
      this.#lastIndex = index;
    }
    return this.#lastText;
  }

  /** The row that is looked at. */
  row(): RawRow {
    return Array.from({ length: this.columns }, (_, column) => this.text(column));
  }

  *[Symbol.iterator](): Generator<RawRow> {
    for (this.at = 0; this.at < this.count; this.at++) yield this.row();
  }
}
