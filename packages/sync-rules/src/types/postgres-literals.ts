/** The text forms of Postgres containers: arrays `{a,"b c",NULL}`, composites `(a,"b c",)`, ranges `[1,5)`. */
import { EvaluationError } from '../evaluation-error.ts';

export type ArrayLiteral = readonly (string | null | ArrayLiteral)[];

/** Explicit lower bounds (`[0:1]={…}`) are ignored. @throws EvaluationError if the text is no array */
export function parseArray(raw: string, delimiter = ','): ArrayLiteral {
  const start = raw.startsWith('[') ? raw.indexOf('=') + 1 : 0;
  return new LiteralReader(raw, start).whole((reader) => array(reader, delimiter));
}

/** Fields in order; an empty field is null. @throws EvaluationError if the text is no composite */
export function parseComposite(raw: string): readonly (string | null)[] {
  return new LiteralReader(raw, 0).whole((reader) => {
    reader.expect('(');
    const fields: (string | null)[] = [];
    do fields.push(reader.field(',)'));
    while (reader.skip(','));
    reader.expect(')');
    return fields;
  });
}

export interface RangeLiteral {
  readonly lower: string | null;
  readonly upper: string | null;
  readonly lowerExclusive: boolean;
  readonly upperExclusive: boolean;
}

/** @throws EvaluationError if the text is no range */
export function parseRange(raw: string): RangeLiteral | 'empty' {
  return new LiteralReader(raw, 0).whole(range);
}

/** @throws EvaluationError if the text is no multirange */
export function parseMultirange(raw: string): readonly (RangeLiteral | 'empty')[] {
  return new LiteralReader(raw, 0).whole((reader) => {
    const ranges: (RangeLiteral | 'empty')[] = [];
    reader.expect('{');
    if (reader.skip('}')) return ranges;
    do ranges.push(range(reader));
    while (reader.skip(','));
    reader.expect('}');
    return ranges;
  });
}

function array(reader: LiteralReader, delimiter: string): ArrayLiteral {
  const elements: (string | null | ArrayLiteral)[] = [];
  reader.expect('{');
  if (reader.skip('}')) return elements;
  do elements.push(reader.peek('{') ? array(reader, delimiter) : reader.element(`${delimiter}}`));
  while (reader.skip(delimiter));
  reader.expect('}');
  return elements;
}

function range(reader: LiteralReader): RangeLiteral | 'empty' {
  if (reader.skipWord('empty')) return 'empty';
  const lowerExclusive = reader.skip('(');
  if (!lowerExclusive) reader.expect('[');
  const lower = reader.field(',');
  reader.expect(',');
  const upper = reader.field(')]');
  const upperExclusive = reader.skip(')');
  if (!upperExclusive) reader.expect(']');
  return { lower, upper, lowerExclusive, upperExclusive };
}

class LiteralReader {
  readonly #raw: string;
  #at: number;

  constructor(raw: string, start: number) {
    this.#raw = raw;
    this.#at = start;
  }

  whole<T>(read: (reader: LiteralReader) => T): T {
    const result = read(this);
    if (this.#at !== this.#raw.length) throw this.#error();
    return result;
  }

  peek(character: string): boolean {
    return this.#raw[this.#at] === character;
  }

  skip(character: string): boolean {
    if (!this.peek(character)) return false;
    this.#at++;
    return true;
  }

  skipWord(word: string): boolean {
    if (!this.#raw.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  expect(character: string): void {
    if (!this.skip(character)) throw this.#error();
  }

  /** One array element, up to one of the end characters: NULL, quoted, or plain. */
  element(ends: string): string | null {
    if (this.peek('"')) return this.#quoted();
    const text = this.#plain(ends);
    return text === 'NULL' || text === 'null' ? null : text;
  }

  /** One field of a composite or a range: nothing at all is null. */
  field(ends: string): string | null {
    if (this.peek('"')) return this.#quoted();
    const text = this.#plain(ends);
    return text === '' ? null : text;
  }

  #plain(ends: string): string {
    const start = this.#at;
    while (this.#at < this.#raw.length && !ends.includes(this.#raw.charAt(this.#at))) {
      this.#at += this.peek('\\') ? 2 : 1;
    }
    const text = this.#raw.slice(start, this.#at);
    return text.includes('\\') ? text.replaceAll(/\\(.)/gs, '$1') : text;
  }

  /** A backslash quotes the next character; a doubled quote is one (composites and ranges). */
  #quoted(): string {
    let text = '';
    this.expect('"');
    let from = this.#at;
    for (; this.#at < this.#raw.length; this.#at++) {
      const character = this.#raw[this.#at];
      if (character !== '\\' && character !== '"') continue;
      text += this.#raw.slice(from, this.#at);
      if (character === '"' && this.#raw[this.#at + 1] !== '"') {
        this.#at++;
        return text;
      }
      from = ++this.#at;
    }
    throw this.#error();
  }

  #error(): EvaluationError {
    return new EvaluationError(`not a Postgres literal: unexpected text at offset ${this.#at}`);
  }
}
