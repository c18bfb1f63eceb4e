import { putOp } from '@sluice/core';
import { packOps } from '@sluice/storage';
import { expect, it } from 'vitest';
import { LineBuffer } from './line-buffer.ts';
import { OpTranscriber } from './op-transcriber.ts';

const MEGABYTE = 1_000_000;

function dataOf(transcriber: OpTranscriber, data: string): unknown {
  const { checksum, body } = putOp('b', 'rows', 'id', 'k', data);
  const line = new LineBuffer();
  transcriber.put(line, packOps([{ id: 1, checksum, body }]), true);
  return JSON.parse(line.space.bytes.toString('utf8', 0, line.end)).data;
}

it.each([10, 10_000, 200_000, 300_000, 2 * MEGABYTE])(
  'has room for a text of %i bytes that all become six: the first one it sees, and later',
  (length) => {
    const transcriber = new OpTranscriber();
    const text = '\u0001'.repeat(length);
    expect(dataOf(transcriber, text) === text).toBe(true);
    expect(dataOf(transcriber, 'small')).toBe('small');
    expect(dataOf(transcriber, text) === text).toBe(true);
  },
);
