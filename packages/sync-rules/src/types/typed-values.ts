/**
 * Rows of a source that decodes its values itself: numbers, booleans, bytes, times, nested arrays and objects. Column
 * types are not looked at.
 */
import type { Compatibility } from '../compatibility.ts';
import { EvaluationError } from '../evaluation-error.ts';
import { bigJson, type JsonValue, valueJson } from '../json.ts';
import type { CellFormat } from '../text-rows.ts';
import { fromBoolean, idText, type Value } from '../value.ts';
import { type TypeOptions, typeOptions } from './source-type.ts';

/** A JavaScript number is a real; integers are bigint. */
export type TypedValue =
  | (null | undefined | boolean | bigint | number | string | Uint8Array)
  | TimeValue
  | DeepValue
  | readonly TypedValue[]
  | { readonly [key: string]: TypedValue };

/** A point in time, or a time of day. */
export class TimeValue {
  /** `2024-03-04T05:06:07.12Z`, `05:06:07`. */
  readonly iso: string;
  readonly kind: 'datetime' | 'time';
  /** What rules without `timestamps_iso8601` get; by default `iso` with a space. */
  readonly legacy: string | null;
  /** Digits behind the second that the source can have at most, and that it is shown with by default. */
  readonly digits: { readonly max: number; readonly default: number };

  constructor(iso: string, options: Pick<TimeValue, 'kind' | 'legacy' | 'digits'>) {
    this.iso = iso;
    this.kind = options.kind;
    this.legacy = options.legacy;
    this.digits = options.digits;
  }
}

/** An array or an object of a source whose values may nest deeper than those of others. */
export class DeepValue {
  readonly content: TypedValue;
  /** Levels at most. */
  readonly depthMax: number;

  constructor(content: TypedValue, depthMax: number) {
    this.content = content;
    this.depthMax = depthMax;
  }
}

const DEPTH_MAX = 10;

export function typedFormat(compatibility: Compatibility): CellFormat<TypedValue> {
  const options = typeOptions(compatibility);
  return {
    reader: () => (cell) => toValue(cell, options),
    idReader: () => (cell) => idText(toValue(cell, options)),
    jsonWriter: () => (cell) => valueJson(toValue(cell, options)),
  };
}

/** @throws EvaluationError for values that nest too deeply */
function toValue(cell: TypedValue, options: TypeOptions): Value {
  if (typeof cell !== 'object' || cell === null) return typeof cell === 'boolean' ? fromBoolean(cell) : cell;
  if (cell instanceof Uint8Array) return cell;
  if (cell instanceof TimeValue) return timeValueText(cell, options);
  if (cell instanceof DeepValue) return bigJson(nested(cell.content, options, cell.depthMax));
  return bigJson(nested(cell, options, DEPTH_MAX));
}

/** @param levels how many more there may be */
function nested(cell: TypedValue, options: TypeOptions, levels: number): JsonValue {
  if (levels <= 0) throw new EvaluationError('the value nests deeper than rules read');
  if (typeof cell !== 'object' || cell === null) return typeof cell === 'boolean' ? fromBoolean(cell) : cell;
  if (cell instanceof Uint8Array) return undefined;
  if (cell instanceof TimeValue) return timeValueText(cell, options);
  if (cell instanceof DeepValue) return nested(cell.content, options, levels);
  if (isList(cell)) return cell.map((element) => nested(element, options, levels - 1));
  return Object.fromEntries(Object.entries(cell).map(([key, member]) => [key, nested(member, options, levels - 1)]));
}

function isList(cell: readonly TypedValue[] | { readonly [key: string]: TypedValue }): cell is readonly TypedValue[] {
  return Array.isArray(cell);
}

function timeValueText(time: TimeValue, options: TypeOptions): string {
  if (!options.timestampsIso8601) return time.legacy ?? time.iso.replace('T', ' ');
  const [, head = '', fraction = '', zone = ''] = /^(.*?)(?:\.(\d+))?(Z?)$/.exec(time.iso) ?? [];
  const digits = Math.min(options.timestampDigitsMax ?? time.digits.default, time.digits.max);
  return head + (digits === 0 ? '' : `.${fraction.slice(0, digits).padEnd(digits, '0')}`) + zone;
}
