/** Functions over JSON text. */
import { EvaluationError } from '../evaluation-error.ts';
import { bigJson, bigParse, isObject } from '../json.ts';
import { jsonArrayLength, jsonExtract } from '../json-path.ts';
import { toText, type Value } from '../value.ts';
import { type ScalarFunction, scalarFunction } from './scalar-function.ts';

export const jsonFunctions: readonly ScalarFunction[] = [
  scalarFunction(
    { name: 'json_extract', args: [2, Number.POSITIVE_INFINITY], doc: 'The value at a path that starts with $.' },
    ([json, path], mode) => jsonExtract(json, path, mode),
  ),
  scalarFunction(
    { name: 'json_array_length', args: [1, 2], doc: 'Elements of an array, at a path if given; 0 for other JSON.' },
    ([json, path], mode) => jsonArrayLength(json, path, mode),
  ),
  scalarFunction({ name: 'json_valid', args: 1, doc: '1 if the text is JSON, else 0.', inStreams: false }, ([json]) =>
    isValidJson(json),
  ),
  scalarFunction({ name: 'json_keys', args: 1, doc: 'JSON array of the keys of an object.' }, ([json]) =>
    jsonKeys(json),
  ),
];

function isValidJson(json: Value): Value {
  const text = toText(json);
  if (text === null) return 0n;
  try {
    bigParse(text);
    return 1n;
  } catch (error) {
    if (error instanceof EvaluationError) return 0n;
    throw error;
  }
}

function jsonKeys(json: Value): Value {
  const text = toText(json);
  if (text === null) return null;
  const object = bigParse(text);
  if (!isObject(object)) throw new EvaluationError('json_keys needs a JSON object');
  return bigJson(Object.keys(object));
}
