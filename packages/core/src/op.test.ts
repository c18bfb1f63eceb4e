import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeOp, putOp, removeOp } from './op.ts';

describe('op bodies', () => {
  test('a put reads back as it was written', () => {
    const op = putOp('b["ü"]', 'lists', 'ä-1', '7.ä-1', '{"id":"ä-1","name":"日本 😀"}');
    expect(decodeOp(op.body)).toEqual({
      op: 'PUT',
      checksum: op.checksum,
      objectType: 'lists',
      objectId: 'ä-1',
      subkey: '7.ä-1',
      data: '{"id":"ä-1","name":"日本 😀"}',
    });
  });

  test('a remove has no data', () => {
    expect(decodeOp(removeOp('b', 't', '1', 's').body)).not.toHaveProperty('data');
  });

  test('the checksum is the signed CRC-32 of the body with zero in its place', () => {
    const op = putOp('b', 't', '1', 's', '{}');
    const zeroed = Buffer.from(op.body);
    zeroed.writeInt32LE(0, 10);
    expect(op.checksum).toBe(crc32(zeroed) | 0);
  });

  test.each([
    ['kind', putOp('b', 't', '1', 's', ''), removeOp('b', 't', '1', 's')],
    ['type', putOp('b', 't', '1', 's', '{}'), putOp('b', 'u', '1', 's', '{}')],
    ['id', putOp('b', 't', '1', 's', '{}'), putOp('b', 't', '2', 's', '{}')],
    ['subkey', putOp('b', 't', '1', 's', '{}'), putOp('b', 't', '1', 'r', '{}')],
    ['data', putOp('b', 't', '1', 's', '{}'), putOp('b', 't', '1', 's', '{ }')],
  ])('the checksum covers the %s, not the bucket', (_, a, b) => {
    expect(a.checksum).not.toBe(b.checksum);
    expect(putOp('other', 't', '1', 's', '{}').checksum).toBe(putOp('b', 't', '1', 's', '{}').checksum);
  });

  test('bodies written before stay intact when slabs fill up, and a body may exceed a slab', () => {
    const large = 'x'.repeat(3_000_000);
    const ops = Array.from({ length: 2000 }, (_, index) => putOp('b', 't', String(index), 's', 'y'.repeat(1500)));
    ops.push(putOp('b', 't', 'large', 's', large));
    for (const [index, op] of ops.slice(0, 2000).entries()) expect(decodeOp(op.body).objectId).toBe(String(index));
    expect(decodeOp(ops[2000]?.body as Uint8Array).data).toBe(large);
  });
});
