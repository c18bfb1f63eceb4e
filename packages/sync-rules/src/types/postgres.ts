/**
 * Postgres types. A snapshot (`COPY` text, unescaped) and the replication stream send the same text for the same value,
 * so one table serves both.
 */
import type { ColumnType, CustomType } from '@sluice/core';
import type { JsonForm, MomentForm } from '../synced-bytes.ts';
import { EvaluationError } from '../evaluation-error.ts';
import { jsonString, realJson } from '../json.ts';
import type { Value } from '../value.ts';
import { arrayType, compositeType, multirangeType, rangeType } from './postgres-containers.ts';
import { dateText, POSTGRES_DIGITS, timestampText, timestamptzText, timeText } from './postgres-time.ts';
import type { SourceType, TypeOptions } from './source-type.ts';

/** What to do with columns of every type, under one set of options. User-defined types not described are text. */
export class PostgresTypes {
  readonly #decodeCustom: boolean;
  readonly #scalars: ReadonlyMap<string, SourceType>;

  constructor(options: TypeOptions) {
    this.#decodeCustom = options.customPostgresTypes;
    this.#scalars = scalarTypes(options);
  }

  /** A description goes before the name: users may call their types `date`. */
  type({ type, custom }: ColumnType): SourceType {
    if (custom !== undefined) return this.#customType(custom);
    return this.#scalars.get(type) ?? this.#named(type);
  }

  #customType(type: CustomType): SourceType {
    if (type.kind === 'enum' || !this.#decodeCustom) return textType;
    switch (type.kind) {
      case 'domain':
        return this.type(type.base);
      case 'range':
        return rangeType(this.type(type.subtype));
      case 'multirange':
        return multirangeType(this.type(type.subtype));
      case 'array':
        return arrayType(this.type(type.element), { delimiter: type.delimiter, fallback: true });
      case 'composite':
        return compositeType(
          type.attributes.map((attribute) => ({ name: attribute.name, type: this.type(attribute) })),
        );
    }
  }

  /** Types that are known by their name alone: ranges, and arrays of what is known. */
  #named(name: string): SourceType {
    if (name.startsWith('_')) return this.#namedArray(name.slice(1));
    const range = ranges.get(name);
    if (range === undefined || !this.#decodeCustom) return textType;
    const subtype = this.type({ type: range.subtype, typeId: 0 });
    return range.multi ? multirangeType(subtype) : rangeType(subtype);
  }

  #namedArray(element: string): SourceType {
    const builtIn = element !== 'box' && (this.#scalars.has(element) || textTypes.has(element));
    if (!builtIn && !this.#decodeCustom) return textType;
    const delimiter = delimiters.get(element) ?? ',';
    return arrayType(this.type({ type: element, typeId: 0 }), { delimiter, fallback: !builtIn });
  }
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

/** What stands between the elements of arrays, for the types that do not take a comma. */
const delimiters: ReadonlyMap<string, string> = new Map([
  ['box', ';'],
  ['geometry', ':'],
  ['geography', ':'],
]);

const textType: SourceType = {
  read: (raw) => raw,
  json: jsonString,
  isOwnText: true,
  bytes: { kind: 'text' },
  element: (raw) => ({ value: raw }),
};

const integerType: SourceType = {
  read: (raw) => BigInt(raw),
  json: (raw) => raw,
  isOwnText: true,
  bytes: { kind: 'plain' },
  element: (raw) => ({ text: raw }),
};

const realType: SourceType = {
  read: (raw) => Number(raw),
  json: (raw) => realJson(Number(raw)),
  bytes: { kind: 'real' },
  element: (raw) => ({ value: Number(raw) }),
};

const booleanType: SourceType = {
  read: (raw) => (raw === 't' ? 1n : 0n),
  json: (raw) => (raw === 't' ? '1' : '0'),
  bytes: { kind: 'boolean' },
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

/** Text that never needs an escape in JSON: dates, times, log positions. */
function mappedText(map: (raw: string) => string | null, bytes?: JsonForm): SourceType {
  return {
    ...(bytes === undefined ? {} : { bytes }),
    read: map,
    json: (raw) => {
      const text = map(raw);
      return text === null ? 'null' : `"${text}"`;
    },
    element: (raw) => ({ value: map(raw) }),
  };
}

function momentForm({ timestampsIso8601: iso, timestampDigitsMax }: TypeOptions, zone: MomentForm['zone']): MomentForm {
  return { kind: 'moment', zone, iso, digits: Math.min(timestampDigitsMax ?? POSTGRES_DIGITS, POSTGRES_DIGITS) };
}

/** Both halves in eight digits, so that text order is log order. */
function lsnText(raw: string): string {
  return raw
    .split('/')
    .map((half) => half.padStart(8, '0'))
    .join('/');
}

function scalarTypes(options: TypeOptions): ReadonlyMap<string, SourceType> {
  return new Map<string, SourceType>([
    ['bool', booleanType],
    ...['int2', 'int4', 'int8', 'oid'].map((name): [string, SourceType] => [name, integerType]),
    ...['float4', 'float8'].map((name): [string, SourceType] => [name, realType]),
    ...['json', 'jsonb'].map((name): [string, SourceType] => [name, jsonType]),
    ['bytea', byteaType],
    ['date', mappedText(dateText, { kind: 'date' })],
    ['time', mappedText((raw) => timeText(raw, options))],
    ['timestamp', mappedText((raw) => timestampText(raw, options), momentForm(options, ''))],
    ['timestamptz', mappedText((raw) => timestamptzText(raw, options), momentForm(options, 'Z'))],
    ['pg_lsn', mappedText(lsnText)],
  ]);
}
