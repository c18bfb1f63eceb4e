/**
 * Operators of expressions. Comparisons are three-valued (a null operand gives null); AND, OR and NOT are two-valued:
 * they first turn their operands into 0 or 1, so that NOT NULL is 1.
 */
import { EvaluationError } from './evaluation-error.ts';
import { bigParse, isArray, type JsonValue } from './json.ts';
import { jsonToValue } from './json-path.ts';
import { compare, fromBoolean, isNull, isTrue, toInteger, toNumeric, toText, type Value } from './value.ts';

export type BinaryOperator = (left: Value, right: Value) => Value;

export type ComparisonName = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type ArithmeticName = '+' | '-' | '*' | '/' | '%' | '&' | '|' | '<<' | '>>' | '||';

function comparison(test: (order: number) => boolean): BinaryOperator {
  return (left, right) => {
    const order = compare(left, right);
    return order === null ? null : fromBoolean(test(order));
  };
}

export const equal = comparison((order) => order === 0);

export const comparisons: Readonly<Record<ComparisonName, BinaryOperator>> = {
  '=': equal,
  '!=': comparison((order) => order !== 0),
  '<': comparison((order) => order < 0),
  '<=': comparison((order) => order <= 0),
  '>': comparison((order) => order > 0),
  '>=': comparison((order) => order >= 0),
};

export function and(left: Value, right: Value): bigint {
  return fromBoolean(isTrue(left) && isTrue(right));
}

export function or(left: Value, right: Value): bigint {
  return fromBoolean(isTrue(left) || isTrue(right));
}

export function not(value: Value): bigint {
  return fromBoolean(!isTrue(value));
}

/** `IS`: like `=`, but null is a value like any other. */
export function is(left: Value, right: Value): bigint {
  if (isNull(left) || isNull(right)) return fromBoolean(isNull(left) && isNull(right));
  return fromBoolean(compare(left, right) === 0);
}

/** Null if any of the three is null. */
export function between(value: Value, low: Value, high: Value): Value {
  const fromLow = compare(value, low);
  const fromHigh = compare(value, high);
  if (fromLow === null || fromHigh === null) return null;
  return fromBoolean(fromLow >= 0 && fromHigh <= 0);
}

/** `value IN ARRAY[…]`: null if it is not found but could equal a null element. */
export function inList(value: Value, list: readonly Value[]): Value {
  if (isNull(value)) return null;
  let unknown = false;
  for (const element of list) {
    const order = compare(value, element);
    if (order === 0) return 1n;
    unknown ||= order === null;
  }
  return unknown ? null : 0n;
}

/**
 * `value IN json`, for text that holds a JSON array.
 * @throws EvaluationError if it does not
 */
export function inJsonArray(value: Value, json: Value): Value {
  if (isNull(value) || isNull(json)) return null;
  return fromBoolean(jsonArray(json).some((element) => compare(value, jsonToValue(element, 'fixed')) === 0));
}

/** `left && right`, for two texts that hold JSON arrays: whether they share an element. */
export function overlaps(left: Value, right: Value): Value {
  if (isNull(left) || isNull(right)) return null;
  return fromBoolean(jsonArray(left).some((element) => inJsonArray(jsonToValue(element, 'fixed'), right) === 1n));
}

/** The elements of text that holds a JSON array. */
export function jsonArray(json: Value): readonly JsonValue[] {
  const array = bigParse(toText(json) ?? 'null');
  if (!isArray(array)) throw new EvaluationError('a JSON array is needed here');
  return array;
}

interface Numbers {
  readonly integer: (left: bigint, right: bigint) => bigint | null;
  readonly real: (left: number, right: number) => number | null;
}

/** Integers of any size stay integers; one real operand makes the result real. */
function arithmetic({ integer, real }: Numbers): BinaryOperator {
  return (left, right) => {
    const a = toNumeric(left);
    const b = toNumeric(right);
    if (a === null || b === null) return null;
    return typeof a === 'bigint' && typeof b === 'bigint' ? integer(a, b) : real(Number(a), Number(b));
  };
}

function bitwise(operate: (left: bigint, right: bigint) => bigint | null): BinaryOperator {
  return (left, right) => {
    const a = toInteger(left);
    const b = toInteger(right);
    return a === null || b === null ? null : operate(a, b);
  };
}

const remainder = bitwise((a, b) => (b === 0n ? null : a % b));

/** As in SQLite: of the whole parts, but a real if one operand is a real. */
function modulo(left: Value, right: Value): Value {
  const result = remainder(left, right);
  const isReal = typeof toNumeric(left) === 'number' || typeof toNumeric(right) === 'number';
  return typeof result === 'bigint' && isReal ? Number(result) : result;
}

/** As in SQLite: 64 bits, and a negative distance shifts the other way. */
function shift(value: bigint, left: bigint): bigint {
  const distance = left > 64n ? 64n : left < -64n ? -64n : left;
  return BigInt.asIntN(64, distance >= 0n ? value << distance : value >> -distance);
}

export const arithmetics: Readonly<Record<ArithmeticName, BinaryOperator>> = {
  '+': arithmetic({ integer: (a, b) => a + b, real: (a, b) => a + b }),
  '-': arithmetic({ integer: (a, b) => a - b, real: (a, b) => a - b }),
  '*': arithmetic({ integer: (a, b) => a * b, real: (a, b) => a * b }),
  '/': arithmetic({
    integer: (a, b) => (b === 0n ? null : a / b),
    real: (a, b) => (b === 0 ? null : a / b),
  }),
  '%': modulo,
  '&': bitwise((a, b) => a & b),
  '|': bitwise((a, b) => a | b),
  '<<': bitwise((a, b) => shift(a, b)),
  '>>': bitwise((a, b) => shift(a, -b)),
  '||': concat,
};

function concat(left: Value, right: Value): Value {
  const a = toText(left);
  const b = toText(right);
  return a === null || b === null ? null : a + b;
}
