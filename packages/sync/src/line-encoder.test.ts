import { decodeOp, putOp } from '@sluice/core';
import { eachOp, packOps } from '@sluice/storage';
import { deserialize } from 'bson';
import { expect, it } from 'vitest';
import { LineBuffer } from './line-buffer.ts';
import { bsonFormat, LineEncoder, ndjsonFormat } from './line-encoder.ts';
import type { Line } from './protocol.ts';

/** A line of about `count * bytes` bytes, told apart by its letter. */
function line(letter: string, count: number, bytes: number): Line {
  const ops = Array.from({ length: count }, (_, index) => {
    const { checksum, body } = putOp(
      'b',
      'rows',
      `${letter}${index}`,
      'k',
      JSON.stringify({ v: letter.repeat(bytes) }),
    );
    return { id: index + 1, checksum, body };
  });
  return { data: { bucket: 'b', after: 0, nextAfter: count, hasMore: false, slices: [packOps(ops)] } };
}

const large = (letter: string) => line(letter, 400, 1_000);
const small = (letter: string) => line(letter, 1, 10);
const copy = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

it.each([
  ['BSON', bsonFormat],
  ['NDJSON', ndjsonFormat(true)],
])('%s: a line stays what it was until it is released, however many come meanwhile', (_, format) => {
  const encoder = new LineEncoder();
  const held = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((letter) => encoder.encode(large(letter), format));
  const was = held.map(({ bytes }) => copy(bytes));
  for (const letter of ['x', 'y']) encoder.encode(large(letter), format).release();
  encoder.encode(small('z'), format);
  expect(held.map(({ bytes }) => copy(bytes))).toEqual(was);
});

it('uses the memory of a released line again, once, whoever says it twice', () => {
  const encoder = new LineEncoder();
  const first = encoder.encode(large('a'), bsonFormat);
  first.release();
  first.release();
  const second = encoder.encode(large('b'), bsonFormat);
  const third = encoder.encode(large('c'), bsonFormat);
  expect(second.bytes.buffer).toBe(first.bytes.buffer);
  expect(third.bytes.buffer).not.toBe(second.bytes.buffer);
});

it('gives no line more than twice the memory that it needs: who reads slowly holds it for long', () => {
  const encoder = new LineEncoder();
  for (const format of [bsonFormat, ndjsonFormat(true)]) {
    for (const count of [30, 200, 240, 300, 480, 490, 1_000, 2_000, 100, 400]) {
      const { bytes, release } = encoder.encode(line('a', count, 1_000), format);
      expect(bytes.buffer.byteLength, `${count} rows`).toBeLessThanOrEqual(2 * bytes.length);
      release();
    }
  }
});

it('takes rows that are larger than a buffer', () => {
  const encoder = new LineEncoder();
  const huge = line('\u0001"', 2, 900_000);
  const wanted = deserialize(encoder.encode(huge, bsonFormat).bytes);
  expect(JSON.parse(Buffer.from(encoder.encode(huge, ndjsonFormat(true)).bytes).toString())).toEqual(wanted);
  if (!('data' in huge)) throw new Error('a data line was made');
  const stored = [...eachOp(huge.data.slices)].map(({ body }) => decodeOp(body).data);
  expect(wanted['data'].data.map((op: { data: string }) => op.data)).toEqual(stored);
});

it('writes whole numbers of any length', () => {
  const buffer = new LineBuffer();
  const numbers = [0, 5, 10, 99, 100, 999, 1_000, 9_999, 10_000, 10_001, 99_999_999, 100_000_000, 2 ** 31 - 1, 2 ** 31];
  numbers.push(1e12 + 7, 40_000_000_000_000, Number.MAX_SAFE_INTEGER);
  for (const number of numbers) {
    buffer.end = 0;
    buffer.decimal(number);
    expect(buffer.space.bytes.toString('latin1', 0, buffer.end)).toBe(String(number));
  }
});
