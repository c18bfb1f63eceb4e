/** The one table-valued function: `json_each(text)`. */
import { EvaluationError } from '../evaluation-error.ts';
import { fromPlainJson, isArray, isObject, type JsonValue } from '../json.ts';
import { type JsonMode, jsonToValue } from '../json-path.ts';
import { isNull, type Value } from '../value.ts';

export interface JsonEachRow {
  /** Index of an array element (integer), key of an object member (text), null for a scalar. */
  readonly key: Value;
  readonly value: Value;
}

export const jsonEachColumns: ReadonlySet<string> = new Set(['key', 'value'] satisfies (keyof JsonEachRow)[]);

/**
 * One row an element. Numbers are read as doubles, so that an element is a real and `[[1]]` gives the text `[1.0]`.
 * @throws EvaluationError if the argument is not JSON text
 */
export function jsonEach(json: Value, mode: JsonMode): readonly JsonEachRow[] {
  if (isNull(json)) return [];
  if (typeof json !== 'string') throw new EvaluationError('json_each needs JSON text');
  const parsed = parseWithDoubles(json);
  if (isArray(parsed)) {
    return parsed.map((element, index) => ({ key: BigInt(index), value: jsonToValue(element, mode) }));
  }
  if (isObject(parsed)) {
    return Object.entries(parsed).map(([key, member]) => ({ key, value: jsonToValue(member, mode) }));
  }
  return parsed === null ? [] : [{ key: null, value: jsonToValue(parsed, mode) }];
}

function parseWithDoubles(json: string): JsonValue {
  try {
    return fromPlainJson(JSON.parse(json));
  } catch {
    throw new EvaluationError('json_each needs JSON text');
  }
}
