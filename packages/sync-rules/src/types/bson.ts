/** Values of BSON documents, as the driver's classes hold them, for rows of a MongoDB source. */
import { DeepValue, TimeValue, type TypedValue } from './typed-values.ts';

/** Dates have milliseconds. */
const DATE_DIGITS = { max: 3, default: 3 } as const;
const DEPTH_MAX = 20;
const UUID_SUBTYPE = 4;
const UUID_BYTES = 16;
/** From here on JavaScript writes an exponent. */
const PLAIN_INTEGER_MAX = 1e21;

/** Classes of the driver by their mark; what is read of each. */
type BsonObject =
  | { readonly _bsontype: 'Long' | 'Timestamp'; toBigInt(): bigint }
  | { readonly _bsontype: 'Int32' | 'Double'; readonly value: number }
  | { readonly _bsontype: 'Decimal128'; toString(): string }
  | { readonly _bsontype: 'ObjectId'; toHexString(): string }
  | { readonly _bsontype: 'Binary'; readonly sub_type: number; readonly buffer: Uint8Array; readonly position: number }
  | { readonly _bsontype: 'BSONSymbol'; readonly value: string }
  | { readonly _bsontype: 'BSONRegExp'; readonly pattern: string; readonly options: string }
  | { readonly _bsontype: 'Code'; readonly code: string; readonly scope: object | null }
  | {
      readonly _bsontype: 'DBRef';
      readonly collection: string;
      readonly oid: unknown;
      readonly db?: string;
      readonly fields: object;
    }
  | { readonly _bsontype: 'MinKey' | 'MaxKey' };

/** One field of a document, as a column. */
export function bsonColumn(value: unknown): TypedValue {
  if (value === undefined) return null;
  if (typeof value === 'number') return doubleValue(value);
  const content = isMarked(value) && value._bsontype === 'Double' ? doubleValue(value.value) : nestedValue(value);
  const isContainer = typeof content === 'object' && content !== null && !(content instanceof Uint8Array);
  return isContainer && !(content instanceof TimeValue) ? new DeepValue(content, DEPTH_MAX) : content;
}

/** A whole number is an integer: MongoDB's shell writes every number as a double. */
function doubleValue(value: number): bigint | number {
  return Number.isInteger(value) ? BigInt(value) : value;
}

/** Inside of JSON numbers have their shortest text, and there are no infinities. */
function nestedNumber(value: number): bigint | number | null {
  if (!Number.isFinite(value)) return null;
  return Math.abs(value) < PLAIN_INTEGER_MAX ? doubleValue(value) : value;
}

function isMarked(value: unknown): value is BsonObject {
  return typeof value === 'object' && value !== null && '_bsontype' in value;
}

function nestedValue(value: unknown): TypedValue {
  if (typeof value === 'number') return nestedNumber(value);
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint')
    return value;
  if (typeof value !== 'object') return undefined;
  if (isMarked(value)) return markedValue(value);
  if (value instanceof Date) return dateValue(value);
  if (value instanceof RegExp) return { pattern: value.source, options: value.flags };
  if (value instanceof Uint8Array) return value;
  return Array.isArray(value) ? value.map((element: unknown) => nestedValue(element)) : documentValue(value);
}

function documentValue(document: object): TypedValue {
  return Object.fromEntries(Object.entries(document).map(([key, member]) => [key, nestedValue(member)]));
}

/** Null for what is outside of the range of JavaScript. */
function dateValue(date: Date): TypedValue {
  if (Number.isNaN(date.getTime())) return null;
  return new TimeValue(date.toISOString(), { kind: 'datetime', legacy: null, digits: DATE_DIGITS });
}

function markedValue(value: BsonObject): TypedValue {
  switch (value._bsontype) {
    case 'Long':
    case 'Timestamp':
      return value.toBigInt();
    case 'Int32':
    case 'Double':
      return nestedNumber(value.value);
    case 'Decimal128':
      return value.toString();
    case 'ObjectId':
      return value.toHexString();
    case 'Binary':
      return binaryValue(value.buffer.subarray(0, value.position), value.sub_type);
    case 'BSONSymbol':
      return value.value;
    case 'BSONRegExp':
      return { pattern: value.pattern, options: value.options };
    case 'Code':
      return { code: value.code, scope: value.scope === null ? null : documentValue(value.scope) };
    case 'DBRef':
      return {
        collection: value.collection,
        oid: nestedValue(value.oid),
        ...(value.db === undefined ? {} : { db: value.db }),
        fields: documentValue(value.fields),
      };
    case 'MinKey':
    case 'MaxKey':
      return null;
  }
}

function binaryValue(bytes: Uint8Array, subtype: number): TypedValue {
  if (subtype !== UUID_SUBTYPE || bytes.length !== UUID_BYTES) return bytes;
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
