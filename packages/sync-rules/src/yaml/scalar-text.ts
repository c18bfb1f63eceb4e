/**
 * The text of a YAML scalar together with the place each of its characters has in the document. The decoding follows
 * YAML 1.2 chapters 7 (flow) and 8 (block); the YAML library's own result is the judge: if the two ever differ, the
 * caller falls back to the whole scalar.
 */

/** `starts[i]..ends[i]` is where character `i` (UTF-16 code unit) of `text` stands. */
export interface ScalarText {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

export type ScalarStyle = 'PLAIN' | 'QUOTE_SINGLE' | 'QUOTE_DOUBLE' | 'BLOCK_LITERAL' | 'BLOCK_FOLDED';

export interface ScalarPlace {
  readonly style: ScalarStyle;
  /** Of the first character of the token: a quote, a block header. */
  readonly start: number;
  readonly end: number;
}

/**
 * @param value the scalar as the YAML library read it
 * @returns null if the places cannot be told
 */
export function scalarText(document: string, place: ScalarPlace, value: string): ScalarText | null {
  const { style, start, end } = place;
  if (style === 'BLOCK_LITERAL' || style === 'BLOCK_FOLDED') return alignBlock(document, place, value);
  const quoted = style !== 'PLAIN';
  const builder = new Builder(document);
  decodeFlow(builder, style, quoted ? start + 1 : start, quoted ? end - 1 : end);
  return builder.text === value ? builder.result() : null;
}

class Builder {
  readonly document: string;
  text = '';
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor(document: string) {
    this.document = document;
  }

  push(characters: string, start: number, end: number): void {
    this.text += characters;
    for (let index = 0; index < characters.length; index++) {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  /** Copies document text as it stands. */
  copy(start: number, end: number): void {
    this.text += this.document.slice(start, end);
    for (let at = start; at < end; at++) {
      this.#starts.push(at);
      this.#ends.push(at + 1);
    }
  }

  result(): ScalarText {
    return { text: this.text, starts: this.#starts, ends: this.#ends };
  }
}

const BLANKS = /[ \t]*/y;
const BREAKS = /(?:\r?\n[ \t]*)+/y;

function decodeFlow(builder: Builder, style: ScalarStyle, start: number, end: number): void {
  const { document } = builder;
  let at = start;
  while (at < end) {
    const blanksEnd = Math.min(matchEnd(BLANKS, document, at), end);
    const next = Math.min(matchEnd(BREAKS, document, blanksEnd), end);
    if (next > blanksEnd) {
      fold(builder, at, next);
      at = next;
    } else if (blanksEnd > at) {
      builder.copy(at, blanksEnd);
      at = blanksEnd;
    } else if (style === 'QUOTE_SINGLE' && document[at] === "'") {
      builder.push("'", at, at + 2);
      at += 2;
    } else if (style === 'QUOTE_DOUBLE' && document[at] === '\\') {
      at = decodeEscape(builder, at);
    } else {
      builder.copy(at, at + 1);
      at++;
    }
  }
}

/** Where a sticky pattern ends if it starts at `at`; `at` if it does not. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** One line break is a space, n + 1 are n line breaks. */
function fold(builder: Builder, start: number, end: number): void {
  const breaks = builder.document.slice(start, end).split('\n').length - 1;
  builder.push(breaks === 1 ? ' ' : '\n'.repeat(breaks - 1), start, end);
}

const ESCAPED_BREAK = /\\\r?\n[ \t]*/y;
const HEX_LENGTHS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const ESCAPES: Readonly<Record<string, string>> = {
  0: '\0',
  a: '\u0007',
  b: '\b',
  e: '\u001b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  N: '\u0085',
  _: '\u00a0',
  L: '\u2028',
  P: '\u2029',
};

/** @returns the offset behind the escape */
function decodeEscape(builder: Builder, start: number): number {
  const { document } = builder;
  const continued = matchEnd(ESCAPED_BREAK, document, start);
  if (continued > start) return continued;
  const letter = document[start + 1] ?? '';
  const hexLength = HEX_LENGTHS[letter];
  if (hexLength === undefined) {
    builder.push(ESCAPES[letter] ?? letter, start, start + 2);
    return start + 2;
  }
  const end = start + 2 + hexLength;
  const codePoint = Number.parseInt(document.slice(start + 2, end), 16);
  if (codePoint <= 0x10ffff) builder.push(String.fromCodePoint(codePoint), start, end);
  return end;
}

/**
 * Block scalars by alignment: the content of each line stands in the value as it is; what stands between two contents
 * came from the line breaks, whatever folding made of them.
 */
function alignBlock(document: string, place: ScalarPlace, value: string): ScalarText | null {
  const headerEnd = document.indexOf('\n', place.start);
  if (headerEnd < 0) return value === '' ? { text: '', starts: [], ends: [] } : null;
  const lines = blockLines(document, headerEnd + 1, place.end);
  for (const indent of blockIndents(document, lines, value)) {
    const aligned = alignLines(new Builder(document), { lines, indent, place }, value);
    if (aligned !== null) return aligned;
  }
  return null;
}

interface Block {
  readonly lines: readonly Line[];
  /** Columns taken from the front of each line. */
  readonly indent: number;
  readonly place: ScalarPlace;
}

function alignLines(builder: Builder, { lines, indent, place }: Block, value: string): ScalarText | null {
  let at = 0;
  let lineEnd = lines[0]?.start ?? place.end;
  for (const line of lines) {
    const start = Math.min(line.start + indent, line.end);
    if (start === line.end) continue;
    const content = builder.document.slice(start, line.end);
    const found = separatorEnd(value, at, content);
    if (found === null) break;
    builder.push(value.slice(at, found), lineEnd, start);
    builder.copy(start, line.end);
    at = found + content.length;
    lineEnd = line.end;
  }
  if (!/^\n*$/.test(value.slice(at))) return null;
  builder.push(value.slice(at), lineEnd, place.end);
  return builder.text === value ? builder.result() : null;
}

interface Line {
  readonly start: number;
  /** Before the line break. */
  readonly end: number;
}

function blockLines(document: string, start: number, end: number): Line[] {
  const lines: Line[] = [];
  for (let at = start; at < end; ) {
    const newline = document.indexOf('\n', at);
    const next = newline < 0 || newline >= end ? end : newline + 1;
    let lineEnd = newline < 0 || newline >= end ? end : newline;
    if (document[lineEnd - 1] === '\r' && lineEnd > at) lineEnd--;
    lines.push({ start: at, end: lineEnd });
    at = next;
  }
  return lines;
}

const INDENTS_TRIED = 32;

/**
 * Columns that may have been taken from the front of each line: what the first line with text has more of than the
 * value, then, for texts with odd blank lines, any number that the line allows.
 */
function blockIndents(document: string, lines: readonly Line[], value: string): number[] {
  const first = lines.map(({ start, end }) => document.slice(start, end)).find((line) => line.trim() !== '');
  if (first === undefined) return [0];
  const width = first.search(/[^ ]/);
  const likely = Math.max(0, width - value.replace(/^\n+/, '').search(/[^ ]|$/));
  return [likely, ...Array.from({ length: Math.min(width, INDENTS_TRIED) }, (_, index) => width - index)];
}

/** Where `content` begins in `value` behind the spaces and breaks at `at`; null if it does not. */
function separatorEnd(value: string, at: number, content: string): number | null {
  for (let found = at; ; found++) {
    if (value.startsWith(content, found) && (found > at || at === 0)) return found;
    if (value[found] !== '\n' && value[found] !== ' ') return null;
  }
}
