import { expect, test } from 'vitest';
import type { SourceRecord } from './record-format.ts';
import { decodeRecord, encodeRecord, historyOf } from './source-record.ts';

const records: SourceRecord[] = [
  { partial: false, readAhead: null, history: 1, memberships: [], lookups: [], values: [] },
  {
    partial: true,
    readAhead: '00000000000000AB',
    history: 300,
    memberships: [{ bucket: '1#b["ä"]', objectType: 't', objectId: '' }],
    lookups: ['k', ''],
    values: [
      null,
      undefined,
      '',
      'x',
      'ü'.repeat(40),
      'y'.repeat(41),
      'z'.repeat(125),
      'z'.repeat(126),
      '😀'.repeat(50_000),
    ],
  },
  {
    partial: false,
    readAhead: 'copy',
    history: 2,
    memberships: Array.from({ length: 300 }, (_, i) => ({
      bucket: `b${i}`,
      objectType: 't'.repeat(i),
      objectId: `${i}`,
    })),
    lookups: Array.from({ length: 200 }, (_, i) => `lookup ${i}`),
    values: Array.from({ length: 1600 }, (_, i) => (i % 3 === 0 ? null : `value ${i}`)),
  },
];

test.each(records)('a record reads back as it was written (%#)', (record) => {
  const bytes = encodeRecord(record);
  encodeRecord(records[1] as SourceRecord);
  expect(decodeRecord(bytes)).toEqual(record);
  expect(historyOf(bytes)).toBe(record.history);
});

test('a truncated record is an internal error, not a wrong row', () => {
  const bytes = encodeRecord(records[1] as SourceRecord);
  expect(() => decodeRecord(bytes.subarray(0, 9))).toThrow(expect.objectContaining({ code: 'SLU_X0001' }));
});
