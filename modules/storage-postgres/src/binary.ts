/**
 * Arrays as the server takes them in binary form: the driver sends a Buffer as it is, and a whole flush is a handful of
 * arrays that `unnest` turns into rows. Nothing is spelled out as hex or decimal text on the way.
 */
import { createHash } from 'node:crypto';

const HEAD_BYTES = 20;
const INT2 = 21;
const INT4 = 23;
const INT8 = 20;
const BYTEA = 17;

export function byteaArray(values: readonly Uint8Array[]): Buffer {
  let bytes = HEAD_BYTES;
  for (const value of values) bytes += 4 + value.length;
  const array = begin(BYTEA, values.length, bytes);
  let at = HEAD_BYTES;
  for (const value of values) {
    array.writeInt32BE(value.length, at);
    array.set(value, at + 4);
    at += 4 + value.length;
  }
  return array;
}

export function int8Array(values: readonly number[]): Buffer {
  const array = begin(INT8, values.length, HEAD_BYTES + 12 * values.length);
  for (const [index, value] of values.entries()) {
    const at = HEAD_BYTES + 12 * index;
    array.writeInt32BE(8, at);
    array.writeInt32BE(Math.floor(value / 2 ** 32), at + 4);
    array.writeUInt32BE(value >>> 0, at + 8);
  }
  return array;
}

export function int4Array(values: readonly number[]): Buffer {
  const array = begin(INT4, values.length, HEAD_BYTES + 8 * values.length);
  for (const [index, value] of values.entries()) {
    array.writeInt32BE(4, HEAD_BYTES + 8 * index);
    array.writeInt32BE(value, HEAD_BYTES + 8 * index + 4);
  }
  return array;
}

export function int2Array(values: readonly number[]): Buffer {
  const array = begin(INT2, values.length, HEAD_BYTES + 6 * values.length);
  for (const [index, value] of values.entries()) {
    array.writeInt32BE(2, HEAD_BYTES + 6 * index);
    array.writeInt16BE(value, HEAD_BYTES + 6 * index + 4);
  }
  return array;
}

/** One dimension, no nulls, first index 1. */
function begin(type: number, length: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(bytes);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(0, 4);
  array.writeInt32BE(type, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}

const NAME_BYTES_MAX = 512;
/** Begins no UTF-8 text. */
const HASHED = Buffer.from([0xff]);

/** A text of any length and content as an index key; a long one is replaced by its hash, which is marked as such. */
export function nameKey(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= NAME_BYTES_MAX) return bytes;
  return Buffer.concat([HASHED, createHash('sha256').update(bytes).digest()]);
}
