/**
 * The values expressions work on. There are no booleans: true is 1n, false is 0n. JSON travels as text. `undefined` is
 * a column that is not there; expressions treat it as null, and a synced object leaves it out.
 */
import { EvaluationError } from './evaluation-error.ts';

export type Value = null | undefined | bigint | number | string | Uint8Array;

/** A value that a lookup key or a bucket parameter of a stream may hold. */
export type ParameterValue = bigint | number | string;

export type ValueType = 'null' | 'integer' | 'real' | 'text' | 'blob';

const utf8 = new TextDecoder();
const utf8Bytes = new TextEncoder();

export function typeOf(value: Value): ValueType {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return 'real';
  return value === null || value === undefined ? 'null' : 'blob';
}

export function isNull(value: Value): value is null | undefined {
  return value === null || value === undefined;
}

export function isBlob(value: Value): value is Uint8Array {
  return typeof value === 'object' && value !== null;
}

/** Whether a stream may use it as a key or a bucket parameter: neither null nor a blob. */
export function isParameter(value: Value): value is ParameterValue {
  return value !== undefined && value !== null && typeof value !== 'object';
}

export function fromBoolean(value: boolean): bigint {
  return value ? 1n : 0n;
}

/** Text counts by its leading integer, so `'0.5'` is false; blobs and nulls are false. */
export function isTrue(value: Value): boolean {
  if (typeof value === 'bigint') return value !== 0n;
  if (typeof value === 'number') return value !== 0 && !Number.isNaN(value);
  return typeof value === 'string' && leadingInteger(value) !== 0n;
}

/** What is used as an index key: a whole real becomes the integer it equals, so that 5.0 and 5 meet. */
export function normaliseParam<T extends Value>(value: T): T | bigint {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value;
}

/**
 * Order of two values: numbers (mixed exactly) < text (by UTF-16 code units) < blobs. NaN equals nothing and is below
 * nothing, so the result may be NaN.
 * @returns null if either side is null
 * @throws EvaluationError for two blobs, which have no order here
 */
export function compare(left: Value, right: Value): number | null {
  if (isNull(left) || isNull(right)) return null;
  const classes = storageClass(left) - storageClass(right);
  if (classes !== 0) return classes;
  if (isBlob(left) || isBlob(right)) throw new EvaluationError('blobs cannot be compared');
  if (left < right) return -1;
  if (left > right) return 1;
  return Number.isNaN(left) || Number.isNaN(right) ? Number.NaN : 0;
}

function storageClass(value: bigint | number | string | Uint8Array): number {
  if (typeof value === 'string') return 1;
  return typeof value === 'object' ? 2 : 0;
}

/** Text form; null for null. */
export function toText(value: Value): string | null {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? utf8.decode(value) : String(value);
}

/** Text of a synced row's id: empty for null, absent values and blobs. */
export function idText(value: Value): string {
  if (typeof value === 'string') return value;
  return isBlob(value) ? '' : (toText(value) ?? '');
}

/** Integer form: a text's leading digits, a real rounded down. */
export function toInteger(value: Value): bigint | null {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return realToInteger(value);
  const text = toText(value);
  return text === null ? null : leadingInteger(text);
}

export function toReal(value: Value): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  const text = toText(value);
  return text === null ? null : Number(leadingNumber(text) ?? 0);
}

/** Number form: a text's leading number, an integer if it has neither fraction nor exponent. */
export function toNumeric(value: Value): bigint | number | null {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  const text = toText(value);
  if (text === null) return null;
  const number = leadingNumber(text);
  if (number === null) return 0n;
  return /^[+-]?\d+$/.test(number) ? integerOf(number) : Number(number);
}

/** Bytes of the text form; null for null. */
export function toBlob(value: Value): Uint8Array | null {
  if (isBlob(value)) return value;
  const text = toText(value);
  return text === null ? null : utf8Bytes.encode(text);
}

export type CastTarget = 'text' | 'integer' | 'real' | 'numeric' | 'blob';

export const castTargets: ReadonlyMap<CastTarget, (value: Value) => Value> = new Map<
  CastTarget,
  (value: Value) => Value
>([
  ['text', toText],
  ['integer', toInteger],
  ['real', toReal],
  ['numeric', toNumeric],
  ['blob', toBlob],
]);

const INT64_MAX = 9223372036854775807n;

function realToInteger(value: number): bigint {
  if (Number.isFinite(value)) return BigInt(Math.floor(value));
  if (Number.isNaN(value)) return 0n;
  return value > 0 ? INT64_MAX : -INT64_MAX - 1n;
}

function leadingInteger(text: string): bigint {
  const digits = /^\s*([+-]?\d+)/.exec(text)?.[1];
  return digits === undefined ? 0n : integerOf(digits);
}

function leadingNumber(text: string): string | null {
  return /^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/.exec(text)?.[1] ?? null;
}

/** BigInt() takes no plus sign. */
function integerOf(digits: string): bigint {
  return BigInt(digits.startsWith('+') ? digits.slice(1) : digits);
}
