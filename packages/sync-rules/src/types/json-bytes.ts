/**
 * Postgres texts to JSON, from bytes to bytes. Each writer gives what the `json` of its type gives, or `NOT_WRITTEN` for
 * the rare texts that it leaves to that.
 */
import { POSTGRES_DIGITS } from './postgres-time.ts';
import { type BytesWriter, NOT_WRITTEN, type TypeOptions } from './source-type.ts';

const [SPACE, QUOTE, DASH, POINT, ZERO, ONE, NINE, BACKSLASH] = [0x20, 0x22, 0x2d, 0x2e, 0x30, 0x31, 0x39, 0x5c];
const [LETTER_T, LETTER_Z, LOWER_T, LOWER_U] = [0x54, 0x5a, 0x74, 0x75];
const HEX = new TextEncoder().encode('0123456789abcdef');
/** Digits that a double always keeps. */
const EXACT_DIGITS = 15;
/** Below a millionth JavaScript writes an exponent. */
const PLACES_MAX = 6;

/** Control characters that have a letter of their own; zero for the others. */
const LETTERS = new Uint8Array(SPACE);
for (const [control, letter] of Object.entries({ 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r' })) {
  LETTERS[Number(control)] = letter.charCodeAt(0);
}

export function writePlain(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  let end = at;
  for (let read = from; read < to; read++) target[end++] = source[read] as number;
  return end;
}

/** A text in quotes. */
export function writeEscaped(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  let end = at;
  target[end++] = QUOTE;
  for (let read = from; read < to; read++) {
    const byte = source[read] as number;
    if (byte < SPACE || byte === QUOTE || byte === BACKSLASH) end = escape(byte, target, end);
    else target[end++] = byte;
  }
  target[end++] = QUOTE;
  return end;
}

function escape(byte: number, target: Uint8Array, at: number): number {
  target[at] = BACKSLASH;
  const letter = byte < SPACE ? (LETTERS[byte] as number) : byte;
  target[at + 1] = letter === 0 ? LOWER_U : letter;
  if (letter !== 0) return at + 2;
  target[at + 2] = ZERO;
  target[at + 3] = ZERO;
  target[at + 4] = HEX[byte >> 4] as number;
  target[at + 5] = HEX[byte & 0xf] as number;
  return at + 6;
}

/** Bytes that `writeEscaped` writes. */
export function escapedLength(source: Uint8Array, from: number, to: number): number {
  let length = to - from + 2;
  for (let read = from; read < to; read++) {
    const byte = source[read] as number;
    if (byte < SPACE) length += LETTERS[byte] === 0 ? 5 : 1;
    else if (byte === QUOTE || byte === BACKSLASH) length++;
  }
  return length;
}

export function writeBoolean(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  target[at] = to - from === 1 && source[from] === LOWER_T ? ONE : ZERO;
  return at + 1;
}

/** Plain decimals that a double keeps as they are and that JavaScript writes without an exponent. */
export function writeReal(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  if (!isPlainReal(source, from, to)) return NOT_WRITTEN;
  let end = at;
  let isWhole = true;
  for (let read = from; read < to; read++) {
    const byte = source[read] as number;
    if (byte === POINT) isWhole = false;
    target[end++] = byte;
  }
  if (!isWhole) return end;
  target[end] = POINT;
  target[end + 1] = ZERO;
  return end + 2;
}

/** `12`, `-0.125`: at most 15 digits; no zero too many in front or behind, nothing near zero. */
function isPlainReal(source: Uint8Array, from: number, to: number): boolean {
  const first = source[from] === DASH ? from + 1 : from;
  if (to - first > EXACT_DIGITS + 1 || to === first) return false;
  let point = to;
  let significant = -1;
  for (let read = first; read < to; read++) {
    const byte = source[read] as number;
    if (byte === POINT && point === to) point = read;
    else if (byte < ZERO || byte > NINE) return false;
    else if (byte !== ZERO && significant < 0) significant = read;
  }
  if (significant < 0 || point === first || to - first - (point === to ? 0 : 1) > EXACT_DIGITS) return false;
  if (source[first] === ZERO && point !== first + 1) return false;
  if (point === to) return true;
  return source[to - 1] !== ZERO && point !== to - 1 && significant - point <= PLACES_MAX;
}

export function writeDate(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  const first = source[from] as number;
  if (to === from || first < ZERO || first > NINE) return NOT_WRITTEN;
  target[at] = QUOTE;
  const end = writePlain(source, from, to, target, at + 1);
  target[end] = QUOTE;
  return end + 1;
}

/** @param zone put behind; the texts it takes are in UTC, or have no zone */
export function timestampWriter(options: TypeOptions, zone: '' | 'Z'): BytesWriter {
  const { timestampsIso8601: iso } = options;
  const digits = Math.min(options.timestampDigitsMax ?? POSTGRES_DIGITS, POSTGRES_DIGITS);
  return (source, from, to, target, at) => {
    const textEnd = plainTimestampEnd(source, from, to);
    if (textEnd === NOT_WRITTEN) return NOT_WRITTEN;
    target[at] = QUOTE;
    let end = writePlain(source, from, from + 19, target, at + 1);
    if (iso) {
      target[at + 11] = LETTER_T;
      if (digits > 0) end = writeFraction(source, textEnd, { from: from + 20, digits }, target, end);
    } else end = writePlain(source, from + 19, textEnd, target, end);
    if (zone !== '') target[end++] = LETTER_Z;
    target[end] = QUOTE;
    return end + 1;
  };
}

/** Where `2024-03-04 05:06:07.89` ends, before its `+00` if it has one; `NOT_WRITTEN` for other texts. */
function plainTimestampEnd(source: Uint8Array, from: number, to: number): number {
  if (to - from < 19 || source[from + 4] !== DASH || source[from + 10] !== SPACE) return NOT_WRITTEN;
  const isUtc = source[to - 3] === 0x2b && source[to - 2] === ZERO && source[to - 1] === ZERO;
  const end = isUtc ? to - 3 : to;
  if (end - from < 19 || (end - from > 19 && source[from + 19] !== POINT)) return NOT_WRITTEN;
  for (let read = from + 20; read < end; read++) {
    const byte = source[read] as number;
    if (byte < ZERO || byte > NINE) return NOT_WRITTEN;
  }
  return end;
}

interface Fraction {
  readonly from: number;
  readonly digits: number;
}

function writeFraction(source: Uint8Array, to: number, fraction: Fraction, target: Uint8Array, at: number): number {
  target[at] = POINT;
  for (let digit = 0; digit < fraction.digits; digit++) {
    const read = fraction.from + digit;
    target[at + 1 + digit] = read < to ? (source[read] as number) : ZERO;
  }
  return at + 1 + fraction.digits;
}
