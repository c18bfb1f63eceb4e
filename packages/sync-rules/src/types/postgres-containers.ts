/** Postgres arrays, ranges and composites as JSON text. */
import { EvaluationError } from '../evaluation-error.ts';
import { bigJson, jsonString, valueJson } from '../json.ts';
import {
  type ArrayLiteral,
  parseArray,
  parseComposite,
  parseMultirange,
  parseRange,
  type RangeLiteral,
} from './postgres-literals.ts';
import type { JsonElement, SourceType } from './source-type.ts';

export interface ArrayOptions {
  readonly delimiter: string;
  /** Whether text that cannot be decoded is passed on as it is, instead of being an error. */
  readonly fallback: boolean;
}

export function arrayType(element: SourceType, { delimiter, fallback }: ArrayOptions): SourceType {
  const write = (array: ArrayLiteral): string =>
    `[${array
      .map((item) => {
        if (item === null) return 'null';
        return typeof item === 'string' ? elementJson(element.element(item)) : write(item);
      })
      .join(',')}]`;
  return jsonTextType((raw) => write(parseArray(raw, delimiter)), fallback);
}

/** An empty range is the text `empty`. */
export function rangeType(subtype: SourceType): SourceType {
  const type = jsonTextType((raw) => rangeJson(parseRange(raw), subtype), true);
  const read = (raw: string) => (raw === 'empty' ? raw : type.read(raw));
  return { ...type, read, json: (raw) => valueJson(read(raw)) };
}

export function multirangeType(subtype: SourceType): SourceType {
  return jsonTextType(
    (raw) =>
      `[${parseMultirange(raw)
        .map((range) => rangeJson(range, subtype))
        .join(',')}]`,
    true,
  );
}

export function compositeType(attributes: readonly { readonly name: string; readonly type: SourceType }[]): SourceType {
  const prepared = attributes.map(({ name, type }) => ({ key: `${jsonString(name)}:`, type }));
  return jsonTextType((raw) => {
    const fields = parseComposite(raw);
    // The type was altered: what the source tells now need not be what it told of this row.
    if (fields.length !== prepared.length) throw new EvaluationError('the composite has other attributes');
    const members = prepared.map(({ key, type }, index) => {
      const field = fields[index] ?? null;
      return key + (field === null ? 'null' : elementJson(type.element(field)));
    });
    return `{${members.join(',')}}`;
  }, true);
}

/** The value is JSON text; inside other containers it is embedded. */
function jsonTextType(toJson: (raw: string) => string, fallback: boolean): SourceType {
  const decode = (raw: string): string | null => {
    if (!fallback) return toJson(raw);
    try {
      return toJson(raw);
    } catch (error) {
      if (error instanceof EvaluationError) return null;
      throw error;
    }
  };
  const read = (raw: string) => decode(raw) ?? raw;
  return {
    read,
    json: (raw) => jsonString(read(raw)),
    element: (raw) => {
      const text = decode(raw);
      return text === null ? { value: raw } : { text };
    },
  };
}

function rangeJson(range: RangeLiteral | 'empty', subtype: SourceType): string {
  if (range === 'empty') return '"empty"';
  const bound = (raw: string | null) => (raw === null ? 'null' : elementJson(subtype.element(raw)));
  return (
    `{"lower":${bound(range.lower)},"upper":${bound(range.upper)},` +
    `"lower_exclusive":${Number(range.lowerExclusive)},"upper_exclusive":${Number(range.upperExclusive)}}`
  );
}

function elementJson(element: JsonElement): string {
  return 'text' in element ? element.text : bigJson(element.value);
}
