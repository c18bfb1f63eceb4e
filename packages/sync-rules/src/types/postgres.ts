/**
 * Postgres types. A snapshot (`COPY` text, unescaped) and the replication stream send the same text for the same value,
 * so one table serves both.
 */
import { EvaluationError } from '../evaluation-error.ts';
import { jsonString, realJson } from '../json.ts';
import type { Value } from '../value.ts';
import { arrayType, compositeType, multirangeType, rangeType } from './postgres-containers.ts';
import { dateText, timestampText, timestamptzText, timeText } from './postgres-time.ts';
import type { CustomType, CustomTypes, SourceType, TypeOptions, TypeReference } from './source-type.ts';

const NO_CUSTOM_TYPES: CustomTypes = new Map();

/**
 * What to do with a column of this type.
 * @param custom user-defined types, where known; unknown ones are text
 */
export function postgresType(
  column: TypeReference,
  options: TypeOptions,
  custom: CustomTypes = NO_CUSTOM_TYPES,
): SourceType {
  const builtIn = scalarTypes(options).get(column.type);
  if (builtIn !== undefined) return builtIn;
  const context = { options, custom };
  const known = custom.get(column.typeId);
  if (known !== undefined) return customType(known, context);
  return namedType(column.type, context);
}

interface TypeContext {
  readonly options: TypeOptions;
  readonly custom: CustomTypes;
}

function customType(type: CustomType, context: TypeContext): SourceType {
  if (type.kind === 'enum' || !context.options.customPostgresTypes) return textType;
  const resolve = (reference: TypeReference) => postgresType(reference, context.options, context.custom);
  switch (type.kind) {
    case 'domain':
      return resolve(type.base);
    case 'range':
      return rangeType(resolve(type.subtype));
    case 'multirange':
      return multirangeType(resolve(type.subtype));
    case 'array':
      return arrayType(resolve(type.element), { delimiter: type.delimiter, fallback: true });
    case 'composite':
      return compositeType(type.attributes.map((attribute) => ({ name: attribute.name, type: resolve(attribute) })));
  }
}

/** Types that are known by their name alone: ranges, and arrays of what is known. */
function namedType(name: string, context: TypeContext): SourceType {
  const { options } = context;
  const range = ranges.get(name);
  if (range !== undefined && options.customPostgresTypes) {
    const subtype = postgresType({ type: range.subtype, typeId: 0 }, options);
    return range.multi ? multirangeType(subtype) : rangeType(subtype);
  }
  if (!name.startsWith('_')) return textType;
  return namedArrayType(name.slice(1), context);
}

function namedArrayType(element: string, { options, custom }: TypeContext): SourceType {
  const isScalar = element !== 'box' && (scalarTypes(options).has(element) || textTypes.has(element));
  if (!isScalar && !options.customPostgresTypes) return textType;
  const delimiter = element === 'box' ? ';' : ',';
  return arrayType(postgresType({ type: element, typeId: 0 }, options, custom), { delimiter, fallback: !isScalar });
}

const ranges: ReadonlyMap<string, { readonly subtype: string; readonly multi: boolean }> = new Map(
  Object.entries({
    int4: 'int4',
    int8: 'int8',
    num: 'numeric',
    ts: 'timestamp',
    tstz: 'timestamptz',
    date: 'date',
  }).flatMap(([prefix, subtype]): [string, { subtype: string; multi: boolean }][] => [
    [`${prefix}range`, { subtype, multi: false }],
    [`${prefix}multirange`, { subtype, multi: true }],
  ]),
);

/** Built-in types whose output text is the value, as far as arrays of them are understood. */
const textTypes: ReadonlySet<string> = new Set(
  (
    'text varchar bpchar char name uuid citext numeric money interval bit varbit timetz inet cidr macaddr macaddr8 xml ' +
    'tsvector tsquery point line lseg path polygon circle geometry geography xid cid tid regclass regproc regtype ' +
    'jsonpath hstore ltree'
  ).split(' '),
);

export const textType: SourceType = {
  read: (raw) => raw,
  json: jsonString,
  element: (raw) => ({ value: raw }),
};

const integerType: SourceType = {
  read: (raw) => BigInt(raw),
  json: (raw) => raw,
  element: (raw) => ({ text: raw }),
};

const realType: SourceType = {
  read: (raw) => Number(raw),
  json: (raw) => realJson(Number(raw)),
  element: (raw) => ({ value: Number(raw) }),
};

const booleanType: SourceType = {
  read: (raw) => (raw === 't' ? 1n : 0n),
  json: (raw) => (raw === 't' ? '1' : '0'),
  element: (raw) => ({ text: raw === 't' ? '1' : '0' }),
};

const jsonType: SourceType = { ...textType, element: (raw) => ({ text: raw }) };

/** Blobs are never synced. */
const byteaType: SourceType = {
  read: byteaValue,
  json: () => undefined,
  element: () => ({ value: null }),
};

function byteaValue(raw: string): Value {
  if (!raw.startsWith('\\x')) throw new EvaluationError('bytea must be in hex form (bytea_output = hex)');
  return new Uint8Array(Buffer.from(raw.slice(2), 'hex'));
}

function mappedText(map: (raw: string) => string | null): SourceType {
  return {
    read: map,
    json: (raw) => {
      const text = map(raw);
      return text === null ? 'null' : jsonString(text);
    },
    element: (raw) => ({ value: map(raw) }),
  };
}

/** Both halves in eight digits, so that text order is log order. */
function lsnText(raw: string): string {
  return raw
    .split('/')
    .map((half) => half.padStart(8, '0'))
    .join('/');
}

const tables = new WeakMap<TypeOptions, ReadonlyMap<string, SourceType>>();

function scalarTypes(options: TypeOptions): ReadonlyMap<string, SourceType> {
  const known = tables.get(options);
  if (known !== undefined) return known;
  const table = new Map<string, SourceType>([
    ['bool', booleanType],
    ...['int2', 'int4', 'int8', 'oid'].map((name): [string, SourceType] => [name, integerType]),
    ...['float4', 'float8'].map((name): [string, SourceType] => [name, realType]),
    ...['json', 'jsonb'].map((name): [string, SourceType] => [name, jsonType]),
    ['bytea', byteaType],
    ['date', mappedText(dateText)],
    ['time', mappedText((raw) => timeText(raw, options))],
    ['timestamp', mappedText((raw) => timestampText(raw, options))],
    ['timestamptz', mappedText((raw) => timestamptzText(raw, options))],
    ['pg_lsn', mappedText(lsnText)],
  ]);
  tables.set(options, table);
  return table;
}
