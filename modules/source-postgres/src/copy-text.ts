/**
 * The text format of COPY, cut into values as it comes in: one pass over the bytes copies them, undoes the server's
 * escapes and notes where values end. Memory is used again and again: rows are valid until the next ones are cut.
 */
import { isUtf8 } from 'node:buffer';
import { ByteRows, ByteSpace, SluiceError } from '@sluice/core';

const [TAB, NEWLINE, BACKSLASH, LETTER_N] = [0x09, 0x0a, 0x5c, 0x4e];
const NULL_START = -1;
const EACH = 0x01010101;
const HIGH = 0x80808080 | 0;

/** What a letter behind a backslash stands for; others stand for themselves. */
const ESCAPES = new Uint8Array(256).map((_, letter) => letter);
for (const [letter, control] of Object.entries({ b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 })) {
  ESCAPES[letter.charCodeAt(0)] = control;
}

export class CopyTextParser {
  readonly #columns: number;
  #space = new ByteSpace(Buffer.allocUnsafeSlow(1 << 16));
  /** What was read from last. */
  #source = this.#space;
  #starts = new Int32Array(1024);
  #ends = new Int32Array(1024);
  /** Bytes and values written; those of the row that is still open included. */
  #used = 0;
  #values = 0;
  /** Complete rows, and where their bytes end. */
  #rows = 0;
  #rowsEnd = 0;
  /** Where the open value starts. */
  #start = 0;
  #column = 0;
  #isNull = false;
  #escaping = false;
  #taken = false;

  constructor(columns: number) {
    this.#columns = columns;
  }

  /** Complete rows that wait to be taken. */
  get rows(): number {
    return this.#taken ? 0 : this.#rows;
  }

  /** Reads on. @throws SLU_S1155 if a line has another number of columns */
  push(source: Buffer, from: number, to: number): void {
    if (source !== this.#source.bytes) this.#source = new ByteSpace(source);
    if (this.#taken) this.#letGo();
    if (this.#used + to - from > this.#space.bytes.length) this.#growBytes(to - from);
    let at = from;
    while (at < to) {
      at = this.#plain(at, to);
      if (at < to) this.#special(source[at++] as number);
    }
  }

  /** Copies up to the next byte that means something. @returns where that is */
  #plain(from: number, to: number): number {
    if (this.#escaping) return from;
    const { bytes: source, view } = this.#source;
    const { bytes: target, view: targetView } = this.#space;
    let used = this.#used;
    let at = from;
    for (; at + 4 <= to; at += 4, used += 4) {
      const word = view.getInt32(at, true);
      if (!isPlain(word)) break;
      targetView.setInt32(used, word, true);
    }
    for (; at < to; at++) {
      const byte = source[at] as number;
      if (byte === BACKSLASH || byte === TAB || byte === NEWLINE) break;
      target[used++] = byte;
    }
    this.#used = used;
    return at;
  }

  #special(byte: number): void {
    if (this.#escaping) {
      this.#escaping = false;
      if (byte === LETTER_N) this.#isNull = true;
      else this.#space.bytes[this.#used++] = ESCAPES[byte] as number;
    } else if (byte === BACKSLASH) this.#escaping = true;
    else {
      this.#endValue();
      if (byte === NEWLINE) this.#endRow();
    }
  }

  #endValue(): void {
    if (this.#column++ >= this.#columns) return;
    if (this.#values === this.#ends.length) this.#growValues();
    this.#starts[this.#values] = this.#isNull ? NULL_START : this.#start;
    this.#ends[this.#values++] = this.#used;
    this.#start = this.#used;
    this.#isNull = false;
  }

  #endRow(): void {
    if (this.#column !== this.#columns) {
      throw new SluiceError('SLU_S1155', `a copied row has ${this.#column} columns instead of ${this.#columns}`);
    }
    this.#column = 0;
    this.#rows++;
    this.#rowsEnd = this.#used;
  }

  /** The complete rows since the last call; valid until the next `push` or call. */
  take(): ByteRows {
    if (this.#taken) this.#letGo();
    this.#taken = true;
    const bytes = this.#space.bytes.subarray(0, this.#rowsEnd);
    const rows = new ByteRows(this.#columns, {
      count: this.#rows,
      bytes,
      starts: this.#starts,
      ends: this.#ends,
    });
    // A database without an encoding may hold anything. What is not UTF-8 is replaced, as everywhere else.
    return isUtf8(bytes) ? rows : ByteRows.of([...rows], this.#columns);
  }

  /** @throws SLU_S1155 if the text ends inside a row */
  end(): void {
    const isOpen = this.#column > 0 || this.#used > this.#rowsEnd || this.#escaping || this.#isNull;
    if (isOpen) throw new SluiceError('SLU_S1155', 'the copied text ends inside a row');
  }

  /** Forgets the rows that were taken; the open one moves to the front. */
  #letGo(): void {
    const complete = this.#rows * this.#columns;
    this.#space.bytes.copyWithin(0, this.#rowsEnd, this.#used);
    for (let value = complete; value < this.#values; value++) {
      const start = this.#starts[value] as number;
      this.#starts[value - complete] = start < 0 ? start : start - this.#rowsEnd;
      this.#ends[value - complete] = (this.#ends[value] as number) - this.#rowsEnd;
    }
    this.#values -= complete;
    this.#used -= this.#rowsEnd;
    this.#start -= this.#rowsEnd;
    this.#rows = 0;
    this.#rowsEnd = 0;
    this.#taken = false;
  }

  #growBytes(more: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#space.bytes.length, this.#used + more));
    this.#space.bytes.copy(grown, 0, 0, this.#used);
    this.#space = new ByteSpace(grown);
  }

  #growValues(): void {
    this.#starts = grownCopy(this.#starts);
    this.#ends = grownCopy(this.#ends);
  }
}

/** Whether none of the four bytes is a backslash or below the newline, as the tab is. */
function isPlain(word: number): boolean {
  const backslashes = word ^ (BACKSLASH * EACH);
  return ((((word - (NEWLINE + 1) * EACH) & ~word) | ((backslashes - EACH) & ~backslashes)) & HIGH) === 0;
}

function grownCopy(values: Int32Array): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(2 * values.length);
  grown.set(values);
  return grown;
}
