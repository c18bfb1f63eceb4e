/** The bytes of copied rows against `evaluate`, which makes the same of single rows by way of strings. */
import { ByteRows, decodeOp, type RawRow, recordKey, type Relation } from '@sluice/core';
import {
  decodeRecord,
  type Effect,
  encodeRecord,
  initialCheckpointState,
  newTable,
  PackedRows,
  type SourceRecord,
  type TableState,
} from '@sluice/storage';
import { parseSyncRules } from '@sluice/sync-rules';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copiedRows } from './copied-rows.ts';
import { rowProgram } from './row-program.ts';
import { evaluate } from '../rows/evaluate.ts';
import type { UpsertWrite } from '../rows/row-write.ts';
import type { TableBinding } from '../tables/table-binding.ts';

const digits = (max: number) => fc.stringMatching(new RegExp(`^\\d{0,${max}}$`));
const real = fc.oneof(
  fc.double().map((value) => String(value)),
  fc.constantFrom(
    'NaN',
    'Infinity',
    '-Infinity',
    '-0',
    '0',
    '1e+21',
    '1e-07',
    '0.000001',
    '0.0000001',
    '100',
    '1e+15',
    '9007199254740993',
  ),
  fc.tuple(fc.constantFrom('', '-'), digits(17), digits(17)).map(([sign, a, b]) => `${sign}${a || '0'}.${b || '0'}`),
  fc.tuple(fc.constantFrom('', '-'), digits(18)).map(([sign, a]) => `${sign}${a || '0'}`),
);
const clock = fc.constantFrom('00:00:00', '23:59:59.9', '12:34:56.123456', '01:02:03.000001');
const day = fc.constantFrom('2024-02-29', '0001-01-01', '9999-12-31', '10000-01-01', 'infinity', '-infinity');
const zone = fc.constantFrom('', '+00', '-03:30', '+01:02:03', ' BC', '+00 BC');
const moment = fc.oneof(
  fc.tuple(day, clock, zone).map(([date, time, offset]) => `${date} ${time}${offset}`),
  fc.constantFrom('infinity', '-infinity', '', '+00'),
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', '')),
  fc.array(fc.constantFrom('"', '\\', '\n', '\t', '\u0001', '\u001f', '\u007f', 'a')).map((parts) => parts.join('')),
  fc.constantFrom(
    'a',
    'b',
    'x'.repeat(100),
    'x'.repeat(256),
    'y'.repeat(257),
    'sha256:',
    'sha256:a',
    'ü"'.repeat(3000),
  ),
);

const TYPES = {
  id: text,
  owner: fc.constantFrom('ann', 'bob', ''),
  n: fc.oneof(fc.bigInt(), fc.integer()).map(String),
  score: real,
  single: real,
  done: fc.constantFrom('t', 'f'),
  at: moment,
  local: moment,
  day,
  clock,
  doc: fc.json(),
  raw: fc.constantFrom('\\x', '\\x00ff'),
  list: fc.constantFrom('{}', '{1,2}', '{a,"b c",NULL}', '{'),
  price: real,
  lsn: fc.constantFrom('0/0', '16/B374D848'),
};
const SQL_TYPES =
  'text text int8 float8 float4 bool timestamptz timestamp date time jsonb bytea _text numeric pg_lsn'.split(' ');

const relation: Relation = {
  sourceId: '1',
  connectionTag: 'default',
  schema: 'public',
  name: 'items',
  replicaIdentity: 'default',
  columns: Object.keys(TYPES).map((name, index) => ({
    name,
    type: SQL_TYPES[index] ?? 'text',
    typeId: 0,
    typeModifier: -1,
    key: name === 'id',
  })),
};

/** All that are copied as they are. */
const PLAIN = 'id, owner, n, score, single, done, \\"at\\", local, day, doc, price';

const DOCUMENTS: Readonly<Record<string, string>> = {
  everything: 'bucket_definitions: { all: { data: [SELECT * FROM items] } }',
  'everything, newest values': 'config: { edition: 2 }\nbucket_definitions: { all: { data: [SELECT * FROM items] } }',
  'no fractions of seconds':
    'config: { edition: 2, timestamp_max_precision: seconds }\nbucket_definitions: { all: { data: [SELECT * FROM items] } }',
  'plain columns': `bucket_definitions:
  a: { data: ["SELECT ${PLAIN} FROM items"] }
  b: { data: ["SELECT owner AS id, * FROM items WHERE owner = 'ann'", "SELECT n AS id, id AS n FROM items"] }`,
  'plain columns, newest values': `config: { edition: 2 }
bucket_definitions:
  a: { data: ["SELECT ${PLAIN} FROM items"] }
  b:
    parameters: ["SELECT request.user_id() AS u"]
    data: ["SELECT ${PLAIN} FROM items WHERE owner = bucket.u", "SELECT owner AS id, score FROM items WHERE owner = bucket.u"]`,
  'plain columns, few digits': `config: { edition: 2, timestamp_max_precision: milliseconds }
bucket_definitions: { a: { data: ["SELECT ${PLAIN} FROM items"] } }`,
  'ids of other types': `bucket_definitions:
  a: { data: ["SELECT n AS id, owner AS owner, owner AS again, score FROM items"] }
  b: { data: ["SELECT score AS id, raw, list FROM items"] }
  c: { data: ["SELECT raw AS id, done, \\"at\\", nowhere FROM items"] }`,
  expressions: `bucket_definitions:
  a: { data: ["SELECT id, upper(id) AS upper, n + 1 AS next, doc ->> 'a' AS a, '\\"' || id AS quoted, * FROM items"] }`,
  'parameters and lookups': `bucket_definitions:
  a:
    parameters: ["SELECT id AS item FROM items WHERE owner = request.user_id()"]
    data: ["SELECT * FROM items WHERE id = bucket.item AND done = 0"]
  b:
    parameters: ["SELECT request.user_id() AS u"]
    data: ["SELECT id, n FROM items WHERE owner = bucket.u", "SELECT id, score FROM items WHERE owner = bucket.u"]`,
  'a stream': `config: { edition: 3 }
streams:
  s: { query: "SELECT * FROM items WHERE owner = auth.user_id() AND done = 1" }
  t: { query: "SELECT items.* FROM items WHERE id IN (SELECT owner FROM items WHERE n > 3 AND id = auth.user_id())" }`,
};

const shown = newTable({ id: 7, relation, keyColumns: [0] }, 'shown', initialCheckpointState);
const TABLES: readonly TableState[] = [
  shown,
  { ...shown, visibility: 'staged' },
  { ...shown, visibility: 'publishing', history: 3 },
  { ...shown, history: 300, unconfirmed: true },
];

function bindingOf(yaml: string, table: TableState, errors: string[]): TableBinding {
  const { rules, diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public', bucketPrefix: '1#' });
  const evaluator = rules?.compileTable(relation) ?? null;
  const copyEvaluator = rules?.compileByteTable(relation) ?? null;
  if (evaluator === null || copyEvaluator === null) throw new Error(JSON.stringify(diagnostics));
  const reportRowError = (definition: string, message: string) => errors.push(`${definition}: ${message}`);
  return { table, keyColumns: table.keyColumns, foundAt: '', evaluator, copyEvaluator, cut: null, reportRowError };
}

function comparable(effect: Effect | null) {
  if (effect === null || effect.record === null) return null;
  const ops = effect.ops.map((op) => ({
    bucket: op.bucket,
    ...decodeOp(op.body),
    body: Buffer.from(op.body).toString('hex'),
  }));
  return { record: decodeRecord(effect.record), ops, lookups: effect.lookups, partial: effect.partial };
}

/** Values of the usual kind, which are packed together with others: a row of random ones nearly always has one that is not. */
const plainReal = fc.integer({ min: -9_999_999, max: 9_999_999 }).map((thousandths) => String(thousandths / 1000));
const plainMoment = fc.tuple(clock, fc.constantFrom('', '+00')).map(([time, zone]) => `2024-02-29 ${time}${zone}`);
const PLAIN_TYPES = {
  ...TYPES,
  score: plainReal,
  single: plainReal,
  at: plainMoment,
  local: plainMoment,
  day: fc.constant('2024-02-29'),
};

const cells = (types: typeof TYPES) => fc.tuple(...Object.values(types).map((value) => fc.option(value, { freq: 8 })));
const row = fc.oneof(
  cells(TYPES),
  cells(PLAIN_TYPES),
  fc
    .tuple(cells(PLAIN_TYPES), cells(TYPES), fc.nat(Object.keys(TYPES).length - 1))
    .map(([plain, any, column]) => plain.map((value, at) => (at === column ? (any[at] ?? null) : value))),
);
const rows = fc.oneof(
  { weight: 6, arbitrary: fc.array(row, { minLength: 1, maxLength: 4 }) },
  // More than are packed at once, and values that go together with nothing.
  fc
    .tuple(fc.array(row, { minLength: 2, maxLength: 4 }), fc.nat(200), fc.constantFrom('', '"'.repeat(140_000)))
    .map(([some, count, large]) =>
      Array.from({ length: count }, (_, at) => {
        const [id, owner, ...others] = some[at % some.length] ?? [];
        return [id, at % 150 === 7 ? large : owner, ...others];
      }),
    ),
);

const WAYS = { 'packed together': rowProgram, 'row by row': null };
const CASES = Object.keys(DOCUMENTS).flatMap((name) =>
  Object.entries(WAYS).map(([way, program]) => ({ name, way, program })),
);

test('the program runs on this machine', () => expect(rowProgram).not.toBeNull());

test.each(CASES)('copied rows amount to what single rows do: $name, $way', ({ name, program }) => {
  const yaml = DOCUMENTS[name] ?? '';
  const [bytesErrors, textErrors]: [string[], string[]] = [[], []];
  const keys = fc.constantFrom([0], [0], [0, 2], [4]);
  fc.assert(
    fc.property(
      rows,
      fc.constantFrom(...TABLES),
      keys,
      fc.boolean(),
      fc.array(fc.nat(), { maxLength: 3 }),
      (copied: readonly RawRow[], kind, keyColumns, hadOlder, places) => {
        const cuts = [...places.map((place) => place % (copied.length + 1)), copied.length].sort((a, b) => a - b);
        const table = { ...kind, keyColumns };
        const taken = copiedRows(bindingOf(yaml, table, bytesErrors), program);
        const bytes = ByteRows.of(copied, relation.columns.length);
        for (const [at, cut] of cuts.entries()) taken.add(bytes, cuts[at - 1] ?? 0, cut);
        const binding = bindingOf(yaml, table, textErrors);
        const older = hadOlder && table.unconfirmed ? { ...OLDER, values: copied[0] ?? [] } : null;
        const prior = older === null ? null : encodeRecord(older);
        for (const [at, row] of copied.entries()) {
          const key = recordKey(row, keyColumns);
          const single = {
            kind: 'upsert',
            tableId: table.id,
            key,
            binding,
            row,
            boundary: null,
            replayed: false,
          } as const;
          const { flushed } = taken;
          const isPacked = flushed instanceof PackedRows;
          expect(isPacked ? flushed.key(at) : flushed.writes[at]?.key).toBe(key);
          const effect = isPacked
            ? flushed.effect(at)
            : flushed.evaluate(flushed.writes[at] as UpsertWrite, prior, null, table);
          expect(comparable(effect)).toEqual(comparable(evaluate(single, prior, null, table)));
        }
        expect(bytesErrors).toEqual(textErrors);
      },
    ),
    { numRuns: name.startsWith('plain') ? 80 : 25 },
  );
});

const OLDER: SourceRecord = {
  partial: false,
  readAhead: 'copy',
  history: 2,
  memberships: [{ bucket: '1#all[]', objectType: 'items', objectId: 'a' }],
  lookups: ['gone'],
  values: [],
};
