/**
 * The text format of COPY, cut into values as it comes in: one pass over the bytes copies them, undoes the server's
 * escapes and notes where values end. Memory is used again and again: rows are valid until the next ones are cut.
 */
import { isUtf8 } from 'node:buffer';
import { ByteRows, ByteSpace, SluiceError } from '@sluice/core';
import { MESSAGES_BYTES_MAX, openCutProgram, type OpenText } from './cut-program.ts';

const [TAB, NEWLINE, BACKSLASH, LETTER_N] = [0x09, 0x0a, 0x5c, 0x4e];
const NULL_START = -1;
const EACH = 0x01010101;
const HIGH = 0x80808080 | 0;

/** What a letter behind a backslash stands for; others stand for themselves. */
const ESCAPES = new Uint8Array(256).map((_, letter) => letter);
for (const [letter, control] of Object.entries({ b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 })) {
  ESCAPES[letter.charCodeAt(0)] = control;
}

export const MESSAGE_HEADER_BYTES = 5;

/** Cuts whole messages, where it can run. */
const cutProgram = openCutProgram(ESCAPES);

export class CopyTextParser {
  readonly #columns: number;
  readonly #program: typeof cutProgram;
  #space = new ByteSpace(Buffer.allocUnsafeSlow(1 << 16));
  /** What was read from last. */
  #source = this.#space;
  #starts = new Int32Array(1024);
  #ends = new Int32Array(1024);
  /** Values written; those of the row that is still open included. */
  #values = 0;
  /** Complete rows, and where their bytes end. */
  #rows = 0;
  #rowsEnd = 0;
  readonly #open: OpenText = { column: 0, isNull: false, escaping: false, start: 0, used: 0 };
  #taken = false;

  /** @param program null reads byte by byte, or four at a time */
  constructor(columns: number, program = cutProgram) {
    this.#columns = columns;
    this.#program = program;
  }

  /** Complete rows that wait to be taken. */
  get rows(): number {
    return this.#taken ? 0 : this.#rows;
  }

  /**
   * Reads on, over whole messages: a letter, the length of what is behind it, and that.
   * @throws SLU_S1155 if a line has another number of columns
   */
  pushMessages(source: Buffer, from: number, to: number): void {
    if (this.#program === null || to - from > MESSAGES_BYTES_MAX) return this.#pushEach(source, from, to);
    if (this.#taken) this.#letGo();
    const { used } = this.#open;
    const cut = this.#program.cut(source.subarray(from, to), this.#columns, this.#open);
    if (cut === null) throw this.#wrongColumns();
    if (this.#open.used > this.#space.bytes.length) this.#growBytes(used, cut.bytes.length);
    this.#space.bytes.set(cut.bytes, used);
    while (this.#values + cut.ends.length > this.#ends.length) this.#growValues();
    this.#starts.set(cut.starts, this.#values);
    this.#ends.set(cut.ends, this.#values);
    this.#values += cut.ends.length;
    if (cut.rows === 0) return;
    this.#rows += cut.rows;
    this.#rowsEnd = cut.rowsEnd;
  }

  #pushEach(source: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      const end = at + 1 + source.readUInt32BE(at + 1);
      this.push(source, at + MESSAGE_HEADER_BYTES, end);
      at = end;
    }
  }

  /** Reads on, over what is inside of one message. @throws SLU_S1155 if a line has another number of columns */
  push(source: Buffer, from: number, to: number): void {
    if (source !== this.#source.bytes) this.#source = new ByteSpace(source);
    if (this.#taken) this.#letGo();
    const { used } = this.#open;
    if (used + to - from > this.#space.bytes.length) this.#growBytes(used, to - from);
    let at = from;
    while (at < to) {
      at = this.#plain(at, to);
      if (at < to) this.#special(source[at++] as number);
    }
  }

  /** Copies up to the next byte that means something. @returns where that is */
  #plain(from: number, to: number): number {
    if (this.#open.escaping) return from;
    const { bytes: source, view } = this.#source;
    const { bytes: target, view: targetView } = this.#space;
    let used = this.#open.used;
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
    this.#open.used = used;
    return at;
  }

  #special(byte: number): void {
    if (this.#open.escaping) {
      this.#open.escaping = false;
      if (byte === LETTER_N) this.#open.isNull = true;
      else this.#space.bytes[this.#open.used++] = ESCAPES[byte] as number;
    } else if (byte === BACKSLASH) this.#open.escaping = true;
    else {
      this.#endValue();
      if (byte === NEWLINE) this.#endRow();
    }
  }

  #endValue(): void {
    if (this.#open.column++ >= this.#columns) return;
    if (this.#values === this.#ends.length) this.#growValues();
    this.#starts[this.#values] = this.#open.isNull ? NULL_START : this.#open.start;
    this.#ends[this.#values++] = this.#open.used;
    this.#open.start = this.#open.used;
    this.#open.isNull = false;
  }

  #endRow(): void {
    if (this.#open.column !== this.#columns) {
      throw this.#wrongColumns();
    }
    this.#open.column = 0;
    this.#rows++;
    this.#rowsEnd = this.#open.used;
  }

  #wrongColumns(): SluiceError {
    const columns = `${this.#open.column} columns instead of ${this.#columns}`;
    return new SluiceError('SLU_S1155', `a copied row has ${columns}`);
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
    const isOpen = this.#open.column > 0 || this.#open.used > this.#rowsEnd || this.#open.escaping || this.#open.isNull;
    if (isOpen) throw new SluiceError('SLU_S1155', 'the copied text ends inside a row');
  }

  /** Forgets the rows that were taken; the open one moves to the front. */
  #letGo(): void {
    const complete = this.#rows * this.#columns;
    this.#space.bytes.copyWithin(0, this.#rowsEnd, this.#open.used);
    for (let value = complete; value < this.#values; value++) {
      const start = this.#starts[value] as number;
      this.#starts[value - complete] = start < 0 ? start : start - this.#rowsEnd;
      this.#ends[value - complete] = (this.#ends[value] as number) - this.#rowsEnd;
    }
    this.#values -= complete;
    this.#open.used -= this.#rowsEnd;
    this.#open.start -= this.#rowsEnd;
    this.#rows = 0;
    this.#rowsEnd = 0;
    this.#taken = false;
  }

  #growBytes(used: number, more: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#space.bytes.length, used + more));
    this.#space.bytes.copy(grown, 0, 0, used);
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
