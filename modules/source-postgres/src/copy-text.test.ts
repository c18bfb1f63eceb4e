import type { RawRow } from '@sluice/core';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { CopyTextParser } from './copy-text.ts';
import { openCutProgram } from './cut-program.ts';

/** How a parser gets its text: in pieces of one message, or in messages, cut by the program or without it. */
const WAYS = {
  'in pieces': (columns: number) => {
    const parser = new CopyTextParser(columns);
    return { parser, push: (bytes: Buffer) => parser.push(bytes, 0, bytes.length) };
  },
  'in messages': (columns: number) => inMessages(new CopyTextParser(columns)),
  'in messages, without the program': (columns: number) => inMessages(new CopyTextParser(columns, null)),
  'in both': (columns: number) => {
    const { parser, push } = inMessages(new CopyTextParser(columns));
    let pieces = 0;
    return {
      parser,
      push: (bytes: Buffer) => (pieces++ % 2 === 0 ? push(bytes) : parser.push(bytes, 0, bytes.length)),
    };
  },
} as const;

/** A piece becomes three messages, in a chunk with something before and behind. */
function inMessages(parser: CopyTextParser) {
  const push = (bytes: Buffer) => {
    const third = Math.ceil(bytes.length / 3);
    const parts = [0, 1, 2].map((part) => bytes.subarray(part * third, (part + 1) * third));
    const messages = Buffer.concat(parts.map(messageOf));
    const chunk = Buffer.concat([Buffer.from('\t\n\\'), messages, Buffer.from('\t\n\\')]);
    parser.pushMessages(chunk, 3, 3 + messages.length);
  };
  return { parser, push };
}

function messageOf(content: Buffer): Buffer {
  const header = Buffer.from('d    ');
  header.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
}

/** Rows are taken at every cut. */
function parse(
  text: string | Buffer,
  columns: number,
  cuts: readonly number[],
  way: keyof typeof WAYS,
): readonly RawRow[] {
  const bytes = Buffer.from(text);
  const { parser, push } = WAYS[way](columns);
  const rows: RawRow[] = [];
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < places.length; i++) {
    push(bytes.subarray(places[i - 1] ?? 0, places[i] ?? 0));
    rows.push(...parser.take());
  }
  parser.end();
  return rows;
}

const EACH_WAY = Object.keys(WAYS) as (keyof typeof WAYS)[];

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

test('the program runs on this machine', () => expect(openCutProgram(new Uint8Array(256))).not.toBeNull());

describe.each(EACH_WAY)('COPY text, %s', (way) => {
  it('cuts lines into columns', () => {
    expect(parse('1\tann\n2\t\n3\t\\N\n', 2, [], way)).toEqual([
      ['1', 'ann'],
      ['2', ''],
      ['3', null],
    ]);
  });

  it('gives a row once, though nothing comes behind it', () => {
    const { parser, push } = WAYS[way](1);
    push(Buffer.from('1\n2\n3'));
    expect([...parser.take()]).toEqual([['1'], ['2']]);
    expect(parser.rows).toBe(0);
    expect([...parser.take()]).toEqual([]);
    push(Buffer.from('4\n'));
    expect([...parser.take()]).toEqual([['34']]);
  });

  it('restores what the server escaped, and nothing else', () => {
    expect(parse('a\\tb\\\\N\t\\\\N\tc\\nd\\re\\bf\\fg\\vh\n', 3, [], way)).toEqual([
      ['a\tb\\N', '\\N', 'c\nd\re\bf\fg\vh'],
    ]);
  });

  it('reads any rows back, wherever the text is cut', () => {
    const value = fc.option(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.stringMatching(/^[\\N\t\nab]*$/),
        fc.stringMatching(/^[a-z\\\n]{10,70}$/),
      ),
    );
    const rows = fc.array(fc.array(value, { minLength: 3, maxLength: 3 }));
    fc.assert(
      fc.property(rows, fc.array(fc.nat(), { maxLength: 5 }), (expected, cuts) => {
        const text = expected.map((row) => `${row.map(escape).join('\t')}\n`).join('');
        expect(parse(text, 3, cuts, way)).toEqual(expected);
      }),
    );
  });

  it('replaces what is not UTF-8', () => {
    expect(parse(Buffer.from('a\xffb\tok\n', 'latin1'), 2, [], way)).toEqual([['a\ufffdb', 'ok']]);
  });

  it('keeps room for rows of any size', () => {
    const rows = [1, 70_000, 3, 300_000].map((length) => ['x'.repeat(length), String(length)]);
    const text = rows.map((row) => `${row.join('\t')}\n`).join('');
    expect(parse(text, 2, [5, 70_001, 80_000], way)).toEqual(rows);
  });

  it.each([
    ['1\n', 2],
    ['1\t2\t3\n', 2],
    ['1\t2', 2],
  ])('refuses %j as rows of %i columns', (text, columns) => {
    expect(() => parse(text, columns, [], way)).toThrowError(expect.objectContaining({ code: 'SLU_S1155' }));
  });
});
