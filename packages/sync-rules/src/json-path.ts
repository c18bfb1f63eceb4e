/**
 * Reading JSON text by path: what `->`, `->>` and `json_extract` share. The option `fixed_json_extract` decides how a
 * path is split and what a JSON null becomes.
 */
import { EvaluationError } from './evaluation-error.ts';
import { bigJson, bigParse, isArray, type JsonValue } from './json.ts';
import { fromBoolean, toText, type Value } from './value.ts';

/** `fixed` is the option `fixed_json_extract`, on from edition 2. */
export type JsonMode = 'fixed' | 'legacy';

/** `json -> path`: the JSON text of what is there; null if nothing is. */
export function jsonArrow(json: Value, path: Value, mode: JsonMode): Value {
  const found = find(json, path, mode);
  if (found === NOTHING || found === undefined) return found === NOTHING ? null : undefined;
  return found === null && mode === 'legacy' ? null : bigJson(found);
}

/** `json ->> path`: the value of what is there; null if nothing is. */
export function jsonArrowText(json: Value, path: Value, mode: JsonMode): Value {
  const found = find(json, path, mode);
  if (found === NOTHING || found === undefined) return found === NOTHING ? null : undefined;
  return jsonToValue(found, mode);
}

/**
 * `json_extract(json, path)`.
 * @throws EvaluationError if the path does not start with `$`
 */
export function jsonExtract(json: Value, path: Value, mode: JsonMode): Value {
  const text = toText(path);
  if (text !== null && !text.startsWith('$')) throw new EvaluationError(`JSON path ${text} does not start with $`);
  return jsonArrowText(json, path, mode);
}

/** Elements of the array at a path (the whole document if there is none); 0 if it is not an array. */
export function jsonArrayLength(json: Value, path: Value, mode: JsonMode): Value {
  const found = find(json, path === undefined ? '$' : path, mode);
  if (found === NOTHING) return null;
  return isArray(found) ? BigInt(found.length) : 0n;
}

/** JSON as a value of expressions: booleans are integers, containers JSON text, null as the mode has it. */
export function jsonToValue(json: JsonValue, mode: JsonMode): Value {
  if (json === null) return mode === 'fixed' ? null : 'null';
  if (typeof json === 'boolean') return fromBoolean(json);
  return typeof json === 'object' ? bigJson(json) : json;
}

const NOTHING = Symbol('nothing');

function find(json: Value, path: Value, mode: JsonMode): JsonValue | typeof NOTHING {
  const text = toText(json);
  const pathText = toText(path);
  if (text === null || pathText === null) return NOTHING;
  let found: JsonValue | typeof NOTHING = bigParse(text);
  for (const name of pathParts(pathText, mode)) {
    found = member(found, name);
    if (found === NOTHING || found === undefined) return found;
  }
  return found;
}

/** Only text that starts with `$` is a path in fixed mode; in legacy mode every dot separates. */
function pathParts(path: string, mode: JsonMode): readonly string[] {
  if (path.startsWith('$')) return path.split('.').slice(1);
  return mode === 'fixed' ? [path] : path.split('.');
}

/**
 * Own members only, the length of an array among them. A name that every JavaScript object inherits reads as absent,
 * which is what rules written for the service we are compatible with get.
 */
function member(json: JsonValue, name: string): JsonValue | typeof NOTHING {
  if (json === null || json === undefined) return NOTHING;
  if (Object.hasOwn(Object(json) as object, name)) return (json as { readonly [key: string]: JsonValue })[name];
  return name in Object.prototype ? undefined : NOTHING;
}
