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

  all(source: ByteSpace): void {
    this.end = copyBytes(source, 0, source.bytes.length, this.space, this.end);
  }

  text(value: string): void {
    this.end += this.space.bytes.write(value, this.end);
  }

  /** A whole number that is not negative, as digits. */
  decimal(value: number): void {
    const { bytes, view } = this.space;
    const start = this.end;
    let at = start + digits(value);
    this.end = at;
    let rest = value;
    while (rest >= 10_000) {
      const next = rest < INT32 ? (rest / 10_000) | 0 : Math.floor(rest / 10_000);
      at -= 4;
      view.setUint32(at, FOUR_DIGITS[rest - next * 10_000] as number);
      rest = next;
    }
    while (at > start) {
      const next = (rest / 10) | 0;
      bytes[--at] = DIGIT_ZERO + rest - next * 10;
      rest = next;
    }
  }
}

const DIGIT_ZERO = 0x30;
/** Division of smaller numbers is a multiplication. */
const INT32 = 2 ** 31;

function digits(value: number): number {
  let count = 1;
  for (let bound = 10; value >= bound; bound *= 10) count++;
  return count;
}

function fourDigits(): Uint32Array {
  return Uint32Array.from({ length: 10_000 }, (_, value) => Buffer.from(String(value).padStart(4, '0')).readUInt32BE());
}
