import { describe, expect, test } from 'vitest';
import type { RawRow } from './change.ts';
import { RECORD_KEY_BYTES_MAX, recordKey } from './record-key.ts';

describe('record keys', () => {
  test('one plain column is its own key', () => {
    expect(recordKey(['x', '42'], [1])).toBe('42');
  });

  test('different rows have different keys', () => {
    const rows: RawRow[] = [
      ['a', 'b'],
      ['a\u001fb', ''],
      ['', 'a\u001fb'],
      ['a\\ub', ''],
      ['a\\', 'b'],
      ['a', '\\b'],
      [null, 'b'],
      ['\\0', 'b'],
      ['0', 'b'],
      ['', ''],
      [null, null],
      ['sha256:x', ''],
      ['x'.repeat(300), 'b'],
      ['x'.repeat(301), 'b'],
    ];
    const keys = rows.map((row) => recordKey(row, [0, 1]));
    expect(new Set(keys).size).toBe(rows.length);
  });

  test('one column: text that looks like an escaped or hashed key is told apart', () => {
    const long = recordKey(['x'.repeat(300)], [0]);
    expect(recordKey([long], [0])).not.toBe(long);
    expect(recordKey(['\\0'], [0])).not.toBe(recordKey([null], [0]));
  });

  test('no key is longer than its bound', () => {
    expect(Buffer.byteLength(recordKey(['ä'.repeat(5000)], [0]))).toBeLessThanOrEqual(RECORD_KEY_BYTES_MAX);
  });

  test('a key column that was not sent is refused with a code', () => {
    expect(() => recordKey([undefined], [0])).toThrow(expect.objectContaining({ code: 'SLU_R1102' }));
  });
});
