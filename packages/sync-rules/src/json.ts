/**
 * JSON without loss: integers are bigints of any size, reals keep their `.0`, and the same value always gives the same
 * text. Parsed objects have no prototype, so a key can never reach one.
 */
import { EvaluationError } from './evaluation-error.ts';
import type { Value } from './value.ts';

export type JsonValue = null | undefined | boolean | bigint | number | string | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue;
}

const DEPTH_MAX = 2000;

/** Text of a value: integers plainly, reals with `.0` where their text has no fraction, absent members left out. */
export function bigJson(value: JsonValue): string {
  return write(value, realJson);
}

/** As `bigJson`, but 7.0 and 7 give the same text: what bucket names are made of. */
export function bucketJson(value: JsonValue): string {
  return write(value, plainReal);
}

/** A real with its mark: `3.0`, `1e+21`, `0.0` for -0. JSON has no infinities: null stands for them. */
export function realJson(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const text = String(value);
  // Larger ones are written with an exponent.
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${text}.0` : text;
}

function plainReal(value: number): string {
  return Number.isFinite(value) ? String(value) : 'null';
}

/** One column of a synced object; undefined for what a synced object cannot hold. */
export function valueJson(value: Value): string | undefined {
  if (typeof value === 'string') return jsonString(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return realJson(value);
  return value === null ? 'null' : undefined;
}

/** Anything but printable text: a quote, a backslash, a control character or half of a surrogate pair. */
const NEEDS_ESCAPE = /[^\u0020\u0021\u0023-\u005b\u005d-\ud7ff\ue000-\uffff]/;

/** A text in quotes. */
export function jsonString(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

function write(value: JsonValue, real: (value: number) => string): string {
  if (typeof value === 'string') return jsonString(value);
  if (typeof value === 'number') return real(value);
  if (value === null || value === undefined) return 'null';
  return typeof value === 'object' ? writeContainer(value, real) : value.toString();
}

function writeContainer(value: readonly JsonValue[] | JsonObject, real: (value: number) => string): string {
  if (isArray(value)) return `[${value.map((element) => write(element, real)).join(',')}]`;
  const members: string[] = [];
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) members.push(`${jsonString(key)}:${write(member, real)}`);
  }
  return `{${members.join(',')}}`;
}

export function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

export function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What `JSON.parse` gives, as a value of ours: all its numbers are reals. */
export function fromPlainJson(value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map(fromPlainJson);
  if (typeof value === 'object' && value !== null) {
    const object: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>;
    for (const [key, member] of Object.entries(value)) object[key] = fromPlainJson(member);
    return object;
  }
  return value as JsonValue;
}

/**
 * Parses strict JSON; numbers without fraction and exponent become bigints.
 * @throws EvaluationError if the text is not JSON, or nests deeper than 2,000 levels
 */
export function bigParse(text: string): JsonValue {
  return new Parser(text).document();
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.#text.length) this.#fail();
    return value;
  }

  #value(): JsonValue {
    this.#space();
    const first = this.#text[this.#at];
    if (first === '"') return this.#string();
    if (first === '{') return this.#nested(() => this.#object());
    if (first === '[') return this.#nested(() => this.#array());
    return first === 't' || first === 'f' || first === 'n' ? this.#word() : this.#number();
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new EvaluationError(`JSON nests deeper than ${DEPTH_MAX} levels`);
    this.#at++;
    const value = parse();
    this.#depth--;
    return value;
  }

  #object(): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>;
    if (this.#skip('}')) return object;
    do {
      this.#space();
      const key = this.#string();
      if (!this.#skip(':')) this.#fail();
      object[key] = this.#value();
    } while (this.#skip(','));
    if (!this.#skip('}')) this.#fail();
    return object;
  }

  #array(): JsonValue[] {
    const array: JsonValue[] = [];
    if (this.#skip(']')) return array;
    do array.push(this.#value());
    while (this.#skip(','));
    if (!this.#skip(']')) this.#fail();
    return array;
  }

  /** Only strings with escapes go through JSON.parse; it also checks them. */
  #string(): string {
    if (this.#text[this.#at] !== '"') this.#fail();
    const start = this.#at;
    let end = this.#text.indexOf('"', start + 1);
    while (end !== -1 && this.#isEscaped(end, start)) end = this.#text.indexOf('"', end + 1);
    if (end === -1) this.#fail();
    this.#at = end + 1;
    const content = this.#text.slice(start + 1, end);
    if (!NEEDS_ESCAPE.test(content)) return content;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      this.#at = start;
      return this.#fail();
    }
  }

  #isEscaped(quote: number, start: number): boolean {
    let backslashes = 0;
    for (let at = quote - 1; at > start && this.#text[at] === '\\'; at--) backslashes++;
    return backslashes % 2 === 1;
  }

  #word(): boolean | null {
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0];
    if (word === undefined) return this.#fail();
    this.#at += word.length;
    return word === 'null' ? null : word === 'true';
  }

  #number(): bigint | number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) return this.#fail();
    this.#at += match[0].length;
    return match[1] === undefined && match[2] === undefined ? BigInt(match[0]) : Number(match[0]);
  }

  #skip(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  #fail(): never {
    const found = this.#at < this.#text.length ? `at offset ${this.#at}` : 'at its end';
    throw new EvaluationError(`not JSON: unexpected text ${found}`);
  }
}
