/** One line that is being written: a large buffer, the end of what stands in it, and the ways to add to it. */
import { ByteSpace, copyBytes } from '@sluice/core';

/** A full line of rows as they mostly are. */
const LINE_BYTES = 1 << 19;
const FOUR_DIGITS = fourDigits();

export class LineBuffer {
  space = new ByteSpace(Buffer.allocUnsafeSlow(LINE_BYTES));
  end = 0;

  /** Makes room. Everything below takes it for granted. */
  reserve(bytes: number): void {
    if (this.end + bytes > this.space.bytes.length) this.#grow(this.end + bytes);
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.space.bytes.length, bytes));
    this.space.bytes.copy(larger, 0, 0, this.end);
    this.space = new ByteSpace(larger);
  }

  byte(value: number): void {
    this.space.bytes[this.end++] = value;
  }

  int32At(at: number, value: number): void {
    this.space.view.setInt32(at, value, true);
  }

  copy(source: ByteSpace, from: number, to: number): void {
    this.end = copyBytes(source, from, to, this.space, this.end);
  }

  text(value: string): void {
    this.end += this.space.bytes.write(value, this.end);
  }

  /** There must be room for a word more. */
  literal({ words, length }: Literal): void {
    const { view } = this.space;
    const start = this.end;
    for (let at = 0; at < words.length; at++) view.setInt32(start + 4 * at, words[at] as number, true);
    this.end = start + length;
  }

  /** A whole number that is not negative, as digits. There must be room for a word more. */
  decimal(value: number): void {
    if (value < 10_000) return this.#first(value);
    const upper = value < INT32 ? (value / 10_000) | 0 : Math.floor(value / 10_000);
    if (upper < 10_000) this.#first(upper);
    else this.decimal(upper);
    this.space.view.setInt32(this.end, FOUR_DIGITS[value - upper * 10_000] as number, true);
    this.end += 4;
  }

  /** Up to four digits, without leading zeros. */
  #first(value: number): void {
    const zeros = value < 10 ? 3 : value < 100 ? 2 : value < 1_000 ? 1 : 0;
    this.space.view.setInt32(this.end, (FOUR_DIGITS[value] as number) >>> (8 * zeros), true);
    this.end += 4 - zeros;
  }
}

/** Text that is written often: whole words, of which the last one may be padded, so that no byte is written by itself. */
export class Literal {
  readonly length: number;
  readonly words: Int32Array;

  constructor(bytes: Uint8Array) {
    this.length = bytes.length;
    const padded = Buffer.alloc(4 * Math.ceil(bytes.length / 4));
    padded.set(bytes);
    this.words = Int32Array.from({ length: padded.length / 4 }, (_, at) => padded.readInt32LE(4 * at));
  }
}

/** Division of smaller numbers is a multiplication. */
const INT32 = 2 ** 31;

/** The first digit lowest. */
function fourDigits(): Int32Array {
  return Int32Array.from({ length: 10_000 }, (_, value) => Buffer.from(String(value).padStart(4, '0')).readInt32LE());
}
