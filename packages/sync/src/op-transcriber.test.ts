import { decodeOp, type OpDraft, putOp, removeOp } from '@sluice/core';
import { OpSlice, packOps } from '@sluice/storage';
import * as fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { LineBuffer } from './line-buffer.ts';
import { openOpTranscriber, type OpTranscriber } from './op-transcriber.ts';
import { plainTranscriber } from './plain-transcriber.ts';

const MEGABYTE = 1_000_000;

function packed(drafts: readonly OpDraft[], first = 1): OpSlice {
  return packOps(drafts.map(({ checksum, body }, index) => ({ id: first + index, checksum, body })));
}

function textOf(transcriber: OpTranscriber, slice: OpSlice, rawData = true): string {
  const line = new LineBuffer();
  transcriber.put(line, slice, rawData);
  return line.space.bytes.toString('utf8', 0, line.end);
}

const special = fc.constantFrom(
  '"',
  '\\',
  '\0',
  '\n',
  '\u001f',
  ' ',
  '\u007f',
  'é',
  '\u2028',
  '🐟',
  '\ud800',
  'plain, ',
);
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 70 }), fc.string({ unit: special, maxLength: 70 }));
const draft = fc.oneof(
  fc.tuple(text, text, text, text).map((texts) => putOp('b', ...texts)),
  fc.tuple(text, text, text).map((texts) => removeOp('b', ...texts)),
);
const drafts = fc.array(draft, { minLength: 1, maxLength: 30 });
const firstId = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 30 });

it.each([
  ['with the program', openOpTranscriber()],
  ['without it', plainTranscriber],
])('%s, the ops of a run are written exactly as JSON.stringify would', (_, transcriber) => {
  fc.assert(
    fc.property(firstId, drafts, fc.nat(), fc.nat(), (first, all, before, behind) => {
      const from = before % all.length;
      const to = all.length - (behind % (all.length - from));
      const wanted = all.slice(from, to).map(({ body }, index) => {
        const { op, objectType: object_type, checksum, objectId: object_id, subkey, data } = decodeOp(body);
        const op_id = String(first + from + index);
        return JSON.stringify({ op, object_type, op_id, checksum, object_id, subkey, data });
      });
      const slice = new OpSlice(packed(all, first).run, from, to);
      expect(textOf(transcriber, slice)).toBe(wanted.join());
    }),
    { numRuns: 100 },
  );
});

it('embeds data as it stands, with the program and without it', () => {
  const slice = packed([
    putOp('b', 't', 'id', 'k', '{"a":12345678901234567890,"é":1.0}'),
    removeOp('b', 't', 'id', 'k'),
  ]);
  const embedded = textOf(openOpTranscriber(), slice, false);
  expect(embedded).toContain('"data":{"a":12345678901234567890,"é":1.0}},{"op":"REMOVE"');
  expect(textOf(plainTranscriber, slice, false)).toBe(embedded);
});

it('does without the program where it cannot run', () => {
  expect(openOpTranscriber()).not.toBe(plainTranscriber);
  vi.stubGlobal('WebAssembly', undefined);
  expect(openOpTranscriber()).toBe(plainTranscriber);
  vi.unstubAllGlobals();
});

it.each([10, 10_000, 200_000, 300_000, 2 * MEGABYTE])(
  'has room for a text of %i bytes that all become six: the first one it sees, and later',
  (length) => {
    const transcriber = openOpTranscriber();
    const taken = (data: string) => JSON.parse(textOf(transcriber, packed([putOp('b', 't', 'id', 'k', data)]))).data;
    const large = '\u0001'.repeat(length);
    expect(taken(large) === large).toBe(true);
    expect(taken('small')).toBe('small');
    expect(taken(large) === large).toBe(true);
  },
);
