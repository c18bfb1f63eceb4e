/** Functions over text, and over the text form of other values. */
import { EvaluationError } from '../evaluation-error.ts';
import { isBlob, isNull, toBlob, toInteger, toText, type Value } from '../value.ts';
import { type ScalarFunction, scalarFunction } from './scalar-function.ts';

export const textFunctions: readonly ScalarFunction[] = [
  scalarFunction({ name: 'upper', args: 1, doc: 'Text in upper case, by full Unicode mapping.' }, ([value]) =>
    mapText(value, (text) => text.toUpperCase()),
  ),
  scalarFunction({ name: 'lower', args: 1, doc: 'Text in lower case, by full Unicode mapping.' }, ([value]) =>
    mapText(value, (text) => text.toLowerCase()),
  ),
  scalarFunction(
    { name: 'length', args: 1, doc: 'UTF-16 code units of the text form; bytes of a blob.' },
    ([value]) => {
      if (isBlob(value)) return BigInt(value.byteLength);
      return mapText(value, (text) => BigInt(text.length));
    },
  ),
  scalarFunction(
    { name: 'substring', args: [2, 3], doc: 'Code units from a 1-based start; a negative start counts from the end.' },
    ([value, start, length]) => substring(value, start, length),
  ),
  scalarFunction(
    { name: 'instr', args: 2, doc: '1-based place of the second text in the first; 0 if it is not there.' },
    ([haystack, needle]) => instr(haystack, needle),
  ),
  scalarFunction(
    { name: 'hex', args: 1, doc: 'Bytes of the text form in upper-case hex; empty for null.' },
    ([value]) => bytes(value).toString('hex').toUpperCase(),
  ),
  scalarFunction({ name: 'base64', args: 1, doc: 'Bytes of the text form in base 64; empty for null.' }, ([value]) =>
    bytes(value).toString('base64'),
  ),
  scalarFunction({ name: 'uuid_blob', args: 1, doc: 'The 16 bytes of a UUID.' }, ([value]) => uuidBlob(value)),
];

function mapText(value: Value, map: (text: string) => Value): Value {
  const text = toText(value);
  return text === null ? null : map(text);
}

function bytes(value: Value): Buffer {
  const blob = toBlob(value);
  return blob === null ? Buffer.alloc(0) : Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
}

/** Start 0 stands before the first character, so one of `length` is lost on it. */
function substring(value: Value, start: Value, length: Value): Value {
  const text = toText(value);
  const from = toInteger(start);
  if (text === null || from === null || length === null) return null;
  const at = from > 0n ? Number(from) - 1 : from === 0n ? -1 : Math.max(0, text.length + Number(from));
  if (length === undefined) return text.slice(Math.max(0, at));
  const count = Number(toInteger(length));
  const [first, end] = count < 0 ? [at + count, at] : [at, at + count];
  return text.slice(Math.max(0, first), Math.max(0, end));
}

function instr(haystack: Value, needle: Value): Value {
  if (isNull(haystack) || isNull(needle)) return null;
  if (isBlob(haystack) && isBlob(needle)) return BigInt(bytes(haystack).indexOf(bytes(needle)) + 1);
  return BigInt((toText(haystack) ?? '').indexOf(toText(needle) ?? '') + 1);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function uuidBlob(value: Value): Value {
  const text = toText(value);
  if (text === null) return null;
  if (!UUID.test(text)) throw new EvaluationError('uuid_blob needs a UUID');
  return new Uint8Array(Buffer.from(text.replaceAll('-', ''), 'hex'));
}
