import type { RawRow } from '@sluice/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyTextParser } from './copy-text.ts';

/** Rows are taken at every cut. */
function parse(text: string | Buffer, columns: number, cuts: readonly number[] = []): readonly RawRow[] {
  const bytes = Buffer.from(text);
  const parser = new CopyTextParser(columns);
  const rows: RawRow[] = [];
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < places.length; i++) {
    parser.push(bytes, places[i - 1] ?? 0, places[i] ?? 0);
    rows.push(...parser.take());
  }
  parser.end();
  return rows;
}

/** What the server does to a value. */
function escape(value: string | null): string {
  if (value === null) return '\\N';
  const letters: Record<string, string> = {
    '\\': '\\\\',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
  };
  return value.replace(/[\\\b\f\n\r\t\v]/g, (character) => letters[character] ?? character);
}

describe('COPY text', () => {
  it('cuts lines into columns', () => {
    expect(parse('1\tann\n2\t\n3\t\\N\n', 2)).toEqual([
      ['1', 'ann'],
      ['2', ''],
      ['3', null],
    ]);
  });

  it('gives a row once, though nothing comes behind it', () => {
    const parser = new CopyTextParser(1);
    const bytes = Buffer.from('1\n2\n3');
    parser.push(bytes, 0, bytes.length);
    expect([...parser.take()]).toEqual([['1'], ['2']]);
    expect(parser.rows).toBe(0);
    expect([...parser.take()]).toEqual([]);
    parser.push(Buffer.from('4\n'), 0, 2);
    expect([...parser.take()]).toEqual([['34']]);
  });

  it('restores what the server escaped, and nothing else', () => {
    expect(parse('a\\tb\\\\N\t\\\\N\tc\\nd\\re\\bf\\fg\\vh\n', 3)).toEqual([['a\tb\\N', '\\N', 'c\nd\re\bf\fg\vh']]);
  });

  it('reads any rows back, wherever the text is cut', () => {
    const value = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[\\N\t\nab]*$/)));
    const rows = fc.array(fc.array(value, { minLength: 3, maxLength: 3 }));
    fc.assert(
      fc.property(rows, fc.array(fc.nat(), { maxLength: 5 }), (expected, cuts) => {
        const text = expected.map((row) => `${row.map(escape).join('\t')}\n`).join('');
        expect(parse(text, 3, cuts)).toEqual(expected);
      }),
    );
  });

  it('replaces what is not UTF-8', () => {
    expect(parse(Buffer.from('a\xffb\tok\n', 'latin1'), 2)).toEqual([['a\ufffdb', 'ok']]);
  });

  it('keeps room for rows of any size', () => {
    const rows = [1, 70_000, 3, 300_000].map((length) => ['x'.repeat(length), String(length)]);
    const text = rows.map((row) => `${row.join('\t')}\n`).join('');
    expect(parse(text, 2, [5, 70_001, 80_000])).toEqual(rows);
  });

  it.each([
    ['1\n', 2],
    ['1\t2\t3\n', 2],
    ['1\t2', 2],
  ])('refuses %j as rows of %i columns', (text, columns) => {
    expect(() => parse(text, columns)).toThrowError(expect.objectContaining({ code: 'SLU_S1155' }));
  });
});
