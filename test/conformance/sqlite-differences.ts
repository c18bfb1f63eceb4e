/**
 * Where our expressions differ from SQLite's on purpose: for one operation on given operands. The sections are those of
 * the language's specification. An entry that explains nothing is an error, and so is a difference without an entry.
 */
import type { SqlValue } from './expression-operations.ts';

export type Outcome = { readonly value: SqlValue } | { readonly error: string };

export interface Difference {
  readonly operation: string;
  readonly operands: readonly SqlValue[];
  readonly ours: Outcome;
  readonly sqlite: Outcome;
}

export interface IntendedDifference {
  readonly name: string;
  readonly section: string;
  readonly explains: (difference: Difference) => boolean;
}

const isBlob = (value: SqlValue): value is Uint8Array => value instanceof Uint8Array;
const isReal = (value: SqlValue): value is number => typeof value === 'number';
const isText = (value: SqlValue): value is string => typeof value === 'string';
const isNull = (value: SqlValue): value is null => value === null;

const textOf = (value: SqlValue): string => (isBlob(value) ? Buffer.from(value).toString() : String(value));

/** In any operand's text, or leading number, an integer of more than 64 bits. */
function isBeyondInt64(value: SqlValue): boolean {
  if (isNull(value)) return false;
  if (isReal(value)) return Math.abs(value) >= 2 ** 63;
  const digits = /^\s*[+-]?\d+/.exec(textOf(value))?.[0].trim();
  return digits !== undefined && BigInt.asIntN(64, BigInt(digits.replace('+', ''))) !== BigInt(digits.replace('+', ''));
}

function among(...names: readonly string[]): (difference: Difference) => boolean {
  const wanted = new Set(names);
  return ({ operation }) => wanted.has(operation);
}

const isLogic = among('AND', 'OR', 'NOT', 'iif/3', 'CASE');
const isComparison = among('=', '<', '<=', '>', '>=', '!= of edition 2', '!= of edition 3');
const isBitwise = among('&', '|', '<<', '>>', '%');
const isArithmetic = among('+', '-', '*', '/', '%', '&', '|', '<<', '>>');
const isJson = among('->', '->>', 'json_extract/2', 'json_array_length/1');
const isSubstring = among('substring/2', 'substring/3');
const isTime = among('datetime/1', 'datetime/2', 'unixepoch/1', 'unixepoch/2');
const usesText = among(
  '||',
  'upper/1',
  'lower/1',
  'length/1',
  'hex/1',
  'instr/2',
  'substring/2',
  'substring/3',
  'CAST text',
  'CAST blob',
);
const failed = (outcome: Outcome): boolean => 'error' in outcome;

function isFarBefore({ operands: [text = null, start = null] }: Difference): boolean {
  return textOf(text).length + Number.parseInt(textOf(start), 10) < 0;
}

export const intendedDifferences: readonly IntendedDifference[] = [
  {
    name: 'logic is two-valued: NOT NULL is 1',
    section: '4.3',
    explains: (difference) => among('AND', 'OR', 'NOT')(difference) && difference.operands.some(isNull),
  },
  {
    name: 'text is true by its leading integer',
    section: '2',
    explains: (difference) => isLogic(difference) && difference.operands.some(isText),
  },
  {
    name: 'blobs are false',
    section: '2',
    explains: (difference) => isLogic(difference) && difference.operands.some(isBlob),
  },
  {
    name: 'edition 3 reads != as NOT =',
    section: '4.3',
    explains: (difference) => difference.operation === '!= of edition 3' && difference.operands.some(isNull),
  },
  {
    name: 'IS TRUE compares with 1, IS FALSE with 0',
    section: '4.1',
    explains: among('IS TRUE', 'IS NOT FALSE'),
  },
  {
    name: 'BETWEEN is null if any part is null',
    section: '4.3',
    explains: (difference) => difference.operation === 'BETWEEN' && difference.operands.some(isNull),
  },
  {
    name: 'two blobs cannot be compared',
    section: '4.2',
    explains: (difference) =>
      (isComparison(difference) || among('BETWEEN', 'IN ARRAY', 'CASE of')(difference)) &&
      failed(difference.ours) &&
      difference.operands.filter(isBlob).length > 1,
  },
  {
    name: 'IN needs text with a JSON array',
    section: '4.3',
    explains: (difference) => difference.operation === 'IN JSON' && failed(difference.ours),
  },
  {
    name: 'an element null of a JSON array is unlike every value',
    section: '4.3',
    explains: ({ operation, operands: [, array = null] }) => operation === 'IN JSON' && textOf(array).includes('null'),
  },
  {
    name: 'JSON is strict: SQLite takes JSON5',
    section: '2.1',
    explains: (difference) => isJson(difference) && failed(difference.ours) && !failed(difference.sqlite),
  },
  {
    name: 'text may hold the character NUL, where SQLite ends it',
    section: '4.7',
    explains: ({ operands }) => operands.some((value) => !isNull(value) && textOf(value).includes('\0')),
  },
  {
    name: 'reals become integers by rounding down',
    section: '4.5',
    explains: (difference) =>
      (difference.operation === 'CAST integer' || isBitwise(difference) || isSubstring(difference)) &&
      difference.operands.some((value) => isReal(value) && value < 0 && !Number.isInteger(value)),
  },
  {
    name: 'integers have no bounds',
    section: '4.4',
    explains: (difference) => {
      const { ours, operands } = difference;
      const beyond =
        operands.some(isBeyondInt64) ||
        ('value' in ours && typeof ours.value === 'bigint' && isBeyondInt64(ours.value));
      const takesIntegers =
        isArithmetic(difference) || isSubstring(difference) || among('CAST integer', 'CAST numeric')(difference);
      return takesIntegers && beyond;
    },
  },
  {
    name: 'numeric text with an exponent or a fraction is a real',
    section: '4.5',
    explains: ({ operation, operands: [value = null] }) =>
      operation === 'CAST numeric' && (isText(value) || isBlob(value)) && /[.e]/i.test(textOf(value)),
  },
  {
    name: 'reals have the text of JavaScript: 2.0 is 2',
    section: '4.5',
    explains: (difference) => usesText(difference) && difference.operands.some(isReal),
  },
  {
    name: 'case by the full mapping of Unicode, of blobs too',
    section: '4.7',
    explains: (difference) =>
      among('upper/1', 'lower/1')(difference) && difference.operands.some((value) => /[^\0-\x7f]/.test(textOf(value))),
  },
  {
    name: 'length and places count UTF-16 code units',
    section: '4.7',
    explains: (difference) =>
      (isSubstring(difference) || among('length/1', 'instr/2')(difference)) &&
      difference.operands.some((value) => isText(value) && /[\u{10000}-\u{10ffff}]/u.test(value)),
  },
  {
    name: 'substring is of the text form, of blobs too',
    section: '4.7',
    explains: (difference) => isSubstring(difference) && isBlob(difference.operands[0] ?? null),
  },
  {
    name: 'a start far before the first character is the first character',
    section: '4.7',
    explains: (difference) => isSubstring(difference) && isFarBefore(difference),
  },
  {
    name: 'json_valid of null is 0',
    section: '4.7',
    explains: (difference) => difference.operation === 'json_valid/1' && difference.operands.some(isNull),
  },
  {
    name: 'JSON is text: SQLite reads blobs as its own binary JSON',
    section: '4.6',
    explains: (difference) =>
      (isJson(difference) || difference.operation === 'json_valid/1') && isBlob(difference.operands[0] ?? null),
  },
  {
    name: 'a null path gives null before the JSON is read',
    section: '4.6',
    explains: (difference) => isJson(difference) && difference.operands[1] === null,
  },
  {
    name: 'json_extract needs a path that starts with $, even of null',
    section: '4.6',
    explains: (difference) => difference.operation === 'json_extract/2' && failed(difference.ours),
  },
  {
    name: 'paths are keys, or $ and keys behind dots; array elements are keys; [n] is not known',
    section: '4.6',
    explains: (difference) => isJson(difference) && !isNull(difference.operands[1] ?? null),
  },
  {
    name: 'no function knows the present',
    section: '4.7',
    explains: (difference) => isTime(difference) && /^subsec/i.test(textOf(difference.operands[0] ?? null)),
  },
  {
    name: 'points in time have the years 0 to 9999, days of any number count',
    section: '4.7',
    explains: (difference) => isTime(difference) && /^\s*[+-]?[\d.]/.test(textOf(difference.operands[0] ?? null)),
  },
  {
    name: 'comparisons know no affinity, so that a CAST changes its own value only',
    section: '4.2',
    explains: ({ operation }) => operation.includes('CAST(') && /[=<>]|IN |BETWEEN|CASE/.test(operation),
  },
  {
    name: 'bytes that are not UTF-8 become the replacement character',
    section: '4.5',
    explains: ({ operands }) => operands.some((value) => isBlob(value) && textOf(value).includes('\ufffd')),
  },
];
