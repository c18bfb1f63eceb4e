/**
 * Postgres texts to JSON, from bytes to bytes. Each writer gives what the `json` of its type gives, or `NOT_WRITTEN` for
 * the rare texts that it leaves to that. Copies do the same for many rows at once (pack-rows.wat of the replication package).
 */
import { type ByteSpace, copyBytes, copyEscaped } from '@sluice/core';
import type { JsonForm, MomentForm } from '../synced-bytes.ts';
import { type BytesWriter, NOT_WRITTEN } from './source-type.ts';

const [SPACE, QUOTE, DASH, POINT, ZERO, ONE, NINE] = [0x20, 0x22, 0x2d, 0x2e, 0x30, 0x31, 0x39];
const [LETTER_T, LETTER_Z, LOWER_T] = [0x54, 0x5a, 0x74];
/** Digits that a double always keeps. */
const EXACT_DIGITS = 15;
/** Below a millionth JavaScript writes an exponent. */
const PLACES_MAX = 6;

export function bytesWriter(form: JsonForm): BytesWriter {
  switch (form.kind) {
    case 'text':
      return writeEscaped;
    case 'plain':
      return writePlain;
    case 'boolean':
      return writeBoolean;
    case 'real':
      return writeReal;
    case 'date':
      return writeDate;
    case 'moment':
      return momentWriter(form);
  }
}

function writePlain(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  return copyBytes(source, from, to, target, at);
}

/** A text in quotes. */
function writeEscaped(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  target.bytes[at] = QUOTE;
  const end = copyEscaped(source, from, to, target, at + 1);
  target.bytes[end] = QUOTE;
  return end + 1;
}

function writeBoolean(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  target.bytes[at] = to - from === 1 && source.bytes[from] === LOWER_T ? ONE : ZERO;
  return at + 1;
}

/** Plain decimals that a double keeps as they are and that JavaScript writes without an exponent. */
function writeReal(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  const kind = plainReal(source.bytes, from, to);
  if (kind === 'other') return NOT_WRITTEN;
  const end = copyBytes(source, from, to, target, at);
  if (kind === 'decimal') return end;
  target.bytes[end] = POINT;
  target.bytes[end + 1] = ZERO;
  return end + 2;
}

/** `12`, `-0.125`: at most 15 digits; no zero too many in front or behind, nothing near zero. */
function plainReal(source: Uint8Array, from: number, to: number): 'whole' | 'decimal' | 'other' {
  const first = source[from] === DASH ? from + 1 : from;
  if (to - first > EXACT_DIGITS + 1 || to === first) return 'other';
  let point = to;
  let significant = -1;
  for (let read = first; read < to; read++) {
    const byte = source[read] as number;
    if (byte === POINT && point === to) point = read;
    else if (byte < ZERO || byte > NINE) return 'other';
    else if (byte !== ZERO && significant < 0) significant = read;
  }
  if (significant < 0 || point === first || to - first - (point === to ? 0 : 1) > EXACT_DIGITS) return 'other';
  if (source[first] === ZERO && point !== first + 1) return 'other';
  if (point === to) return 'whole';
  const isShortest = source[to - 1] !== ZERO && point !== to - 1;
  return isShortest && significant - point <= PLACES_MAX ? 'decimal' : 'other';
}

function writeDate(source: ByteSpace, from: number, to: number, target: ByteSpace, at: number): number {
  const first = source.bytes[from] as number;
  if (to === from || first < ZERO || first > NINE) return NOT_WRITTEN;
  target.bytes[at] = QUOTE;
  const end = writePlain(source, from, to, target, at + 1);
  target.bytes[end] = QUOTE;
  return end + 1;
}

function momentWriter({ zone, iso, digits }: MomentForm): BytesWriter {
  return (source, from, to, target, at) => {
    const textEnd = plainTimestampEnd(source, from, to);
    if (textEnd === NOT_WRITTEN) return NOT_WRITTEN;
    target.bytes[at] = QUOTE;
    let end = writePlain(source, from, from + 19, target, at + 1);
    if (iso) {
      target.bytes[at + 11] = LETTER_T;
      if (digits > 0) end = writeFraction(source, textEnd, { from: from + 20, digits }, target, end);
    } else end = writePlain(source, from + 19, textEnd, target, end);
    if (zone !== '') target.bytes[end++] = LETTER_Z;
    target.bytes[end] = QUOTE;
    return end + 1;
  };
}

/** Where `2024-03-04 05:06:07.89` ends, before its `+00` if it has one; `NOT_WRITTEN` for other texts. */
function plainTimestampEnd(source: ByteSpace, from: number, to: number): number {
  if (to - from < 19 || source.bytes[from + 4] !== DASH || source.bytes[from + 10] !== SPACE) return NOT_WRITTEN;
  const isUtc = source.bytes[to - 3] === 0x2b && source.bytes[to - 2] === ZERO && source.bytes[to - 1] === ZERO;
  const end = isUtc ? to - 3 : to;
  if (end - from < 19 || (end - from > 19 && source.bytes[from + 19] !== POINT)) return NOT_WRITTEN;
  for (let read = from + 20; read < end; read++) {
    const byte = source.bytes[read] as number;
    if (byte < ZERO || byte > NINE) return NOT_WRITTEN;
  }
  return end;
}

interface Fraction {
  readonly from: number;
  readonly digits: number;
}

function writeFraction(source: ByteSpace, to: number, fraction: Fraction, target: ByteSpace, at: number): number {
  target.bytes[at] = POINT;
  for (let digit = 0; digit < fraction.digits; digit++) {
    const read = fraction.from + digit;
    target.bytes[at + 1 + digit] = read < to ? (source.bytes[read] as number) : ZERO;
  }
  return at + 1 + fraction.digits;
}
