import { type OpDraft, putOp, removeOp } from '@sluice/core';
import { OpSlice, packOps } from '@sluice/storage';
import { calculateObjectSize, deserialize, serialize } from 'bson';
import { describe, expect, it } from 'vitest';
import { bsonFormat, LineEncoder, ndjsonFormat } from './line-encoder.ts';
import type { DataChunk, Line } from './protocol.ts';

const encoder = new LineEncoder();
const encodeBsonLine = (line: Line) => Buffer.from(encoder.encode(line, bsonFormat).bytes);
const encodeNdjsonLine = (line: Line, rawData: boolean) =>
  Buffer.from(encoder.encode(line, ndjsonFormat(rawData)).bytes);

/** All that a bucket has, in runs of `perRun` ops that are cut where they meet. */
function slicesOf(ops: readonly { readonly id: number; readonly draft: OpDraft }[], perRun = 7): OpSlice[] {
  const loose = ops.map(({ id, draft: { checksum, body } }) => ({ id, checksum, body }));
  const slices: OpSlice[] = [];
  for (let at = 0; at < loose.length; at += perRun) {
    const from = Math.max(0, at - 2);
    const { run } = packOps(loose.slice(from, at + perRun + 1));
    slices.push(new OpSlice(run, at - from, Math.min(loose.length, at + perRun) - from));
  }
  return slices;
}

const rows = ['{"id":"a","name":"Zoë \\"quoted\\" \\u0000"}', '{"id":"b","big":12345678901234567890,"real":1.0}'];

function chunk(count: number, firstOp = 1): DataChunk {
  const ops = Array.from({ length: count }, (_, index) => firstOp + index).map((id) => ({
    id,
    draft:
      id % 3 === 0
        ? removeOp('b', 'todos', `id-${id}`, `7/${id}`)
        : putOp('b', id % 5 === 0 ? 'lists' : 'todos', `id-${id}`, `7/${id}`, rows[id % 2] as string),
  }));
  return {
    bucket: '1#mine["ann 🐟"]',
    after: firstOp - 1,
    nextAfter: firstOp + count - 1,
    hasMore: true,
    slices: slicesOf(ops),
  };
}

describe('BSON lines', () => {
  it.each([1, 9, 10, 11, 99, 101, 1000])(
    'lays out a data line of %i ops exactly as the bson package would',
    (count) => {
      for (const first of [1, 95, 2 ** 40, Number.MAX_SAFE_INTEGER - count + 1]) {
        const bytes = encodeBsonLine({ data: chunk(count, first) });
        const document = deserialize(bytes);
        expect(calculateObjectSize(document)).toBe(bytes.length);
        expect(Buffer.from(serialize(document)).equals(bytes)).toBe(true);
        expect(document.data.data).toHaveLength(count);
        expect(document.data.data[count - 1].op_id).toBe(String(first + count - 1));
        expect(document.data.next_after).toBe(String(first + count - 1));
        expect(document.data.has_more).toBe(true);
        expect(document.data.bucket).toBe('1#mine["ann 🐟"]');
      }
    },
  );

  it('keeps the text of a row byte for byte', () => {
    const document = deserialize(encodeBsonLine({ data: chunk(2) }));
    expect(document.data.data.map((op: { data: string }) => op.data)).toEqual([rows[1], rows[0]]);
    expect(Object.keys(document.data.data[0])).toEqual([
      'op_id',
      'checksum',
      'op',
      'object_type',
      'object_id',
      'subkey',
      'data',
    ]);
  });

  it('encodes numbers as the types clients accept: never a double', () => {
    const line: Line = {
      checkpoint: {
        last_op_id: '20',
        buckets: [{ bucket: 'b', checksum: -2147483648, count: 3, priority: 3, subscriptions: [{ sub: 0 }] }],
        streams: [{ name: 'b', is_default: true, errors: [{ subscription: 1, message: 'no' }] }],
      },
    };
    const bytes = Buffer.from(encodeBsonLine(line));
    for (const name of ['checksum', 'count', 'priority', 'sub', 'subscription']) {
      expect(bytes.includes(Buffer.from(`\x10${name}\0`, 'latin1')), name).toBe(true);
    }
    expect(deserialize(encodeBsonLine({ token_expires_in: 3517 }))).toEqual({ token_expires_in: 3517 });
  });
});

describe('NDJSON lines', () => {
  it('keeps rows as JSON text, escaped once', () => {
    const text = encodeNdjsonLine({ data: chunk(3) }, true).toString();
    expect(text.endsWith('}\n')).toBe(true);
    const line = JSON.parse(text) as { data: { data: Record<string, unknown>[] } };
    expect(line.data.data.map((op) => op.data)).toEqual([rows[1], rows[0], undefined]);
    expect(line.data.data.map((op) => op.op)).toEqual(['PUT', 'PUT', 'REMOVE']);
    expect(line).toEqual(deserialize(encodeBsonLine({ data: chunk(3) })));
  });

  it('escapes whatever text may hold', () => {
    const texts = [
      '\u0000\u001f\n\t"\\/',
      'Zoë 🐟 \u2028',
      '"'.repeat(20_000),
      '\u0001'.repeat(20_000),
      'x'.repeat(3_000_000),
    ];
    const ops = texts.map((text, index) => ({
      id: index + 1,
      draft: putOp('b', text.slice(0, 50), text, 'k', JSON.stringify({ text })),
    }));
    const line = { data: { bucket: 'b"\n', after: 0, nextAfter: 5, hasMore: false, slices: slicesOf(ops) } };
    expect(JSON.parse(encodeNdjsonLine(line, true).toString())).toEqual(deserialize(encodeBsonLine(line)));
  });

  it('refuses a body with other elements than it should have', () => {
    const { checksum, body } = putOp('b', 'rows', 'id', 'k', '{}');
    const longer = { id: 1, checksum, body: Buffer.concat([body, Buffer.from('\x02more\0\x01\0\0\0\0', 'latin1')]) };
    const line = { data: { bucket: 'b', after: 0, nextAfter: 1, hasMore: false, slices: [packOps([longer])] } };
    expect(() => encodeNdjsonLine(line, true)).toThrow('other elements');
  });

  it('embeds rows for old clients without touching their digits', () => {
    const text = encodeNdjsonLine({ data: chunk(1) }, false).toString();
    expect(text).toContain(`"data":${rows[1]}`);
    expect(text).toContain('12345678901234567890');
  });

  it('is one object a line', () => {
    expect(encodeNdjsonLine({ token_expires_in: 5 }, true).toString()).toBe('{"token_expires_in":5}\n');
  });
});
