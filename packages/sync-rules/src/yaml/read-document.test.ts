import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseSyncRules } from '../parse.ts';
import { editorSchema } from './editor-schema.ts';

function found(yaml: string): { code: string; text: string; hint: string; line: number; column: number }[] {
  return [...parseSyncRules(yaml, { defaultSchema: 'public' }).diagnostics];
}

const definition = 'bucket_definitions:\n  a:\n    data: [SELECT id FROM a]\n';
const stream = 'config: { edition: 3 }\nstreams:\n  s:\n    query: SELECT id FROM s\n';

test.each([
  ['', ['document-empty:']],
  ['- a\n', ['not-a-map:- a\n']],
  ['config:\n  edition: 1\n', ['document-empty:config:\n  edition: 1\n']],
  ['bucket_definitions: {}\n', []],
  [`${definition}buckets: {}\n`, ['unknown-key:buckets']],
  [`config:\n  editions: 2\n${definition}`, ['unknown-key:editions']],
  [`config:\n  edition: 4\n${definition}`, ['wrong-value:4']],
  [`config:\n  edition: '2'\n${definition}`, ["wrong-value:'"]],
  [`config:\n  timestamps_iso8601: yes\n${definition}`, ['not-a-boolean:yes']],
  [`config:\n  timestamp_max_precision: seconds\n${definition}`, ['option-conflict:seconds']],
  [`config: { edition: 2, timestamp_max_precision: seconds }\n${definition}`, []],
  [`config:\n  timestamp_max_precision: second\n  timestamps_iso8601: true\n${definition}`, ['wrong-value:second']],
  [`config:\n  storage_version: 3\n${definition}`, ['storage-version-unstable:3\n']],
  ['bucket_definitions:\n  a:\n    dat: [SELECT id FROM a]\n', ['unknown-key:dat']],
  ['bucket_definitions:\n  a:\n    priority: 1\n', ['missing-key:p']],
  ['bucket_definitions:\n  a: 3\n', ['not-a-map:3']],
  [`${definition}    priority: 1.5\n`, ['wrong-value:1']],
  [`${definition}  a:\n    data: []\n`, ['yaml-syntax:a']],
  [`${definition}event_definitions:\n  e:\n    payload: []\n`, ['unknown-key:payload']],
  [`${stream}    autosubscribe: true\n`, ['unknown-key:autosubscribe']],
  [
    `${stream}    queries: [SELECT id FROM t]\n`,
    ['query-or-queries:query: SELECT id FROM s\n    queries: [SELECT id FROM t]\n'],
  ],
  ['a: [\n', ['yaml-syntax:']],
])('%j', (yaml, expected) => {
  expect(found(yaml).map(({ code, text }) => `${code}:${text}`)).toEqual(expected);
});

test('places are 1-based lines and columns', () => {
  expect(found(`${definition}bukets: {}\n`)).toMatchObject([{ line: 4, column: 1 }]);
  expect(found('bucket_definitions:\r\n  a:\r\n    dta: []\r\n')).toMatchObject([{ line: 3, column: 5, text: 'dta' }]);
});

test('what was probably meant is named', () => {
  expect(found(`${definition}bucket_definition: {}\n`)).toMatchObject([{ hint: 'Did you mean "bucket_definitions"?' }]);
  expect(found(`config:\n  edtion: 2\n${definition}`)).toMatchObject([{ hint: 'Did you mean "edition"?' }]);
});

test('an alias stands for what it names', () => {
  const yaml = 'bucket_definitions:\n  a:\n    data: &d [SELECT id FROM a]\n  b:\n    data: *d\n';
  expect(found(yaml)).toEqual([]);
});

describe('the schema for editors', () => {
  const validate = new Ajv({ strict: false }).compile(editorSchema());

  test.each([definition, stream, `config: { edition: 2, storage_version: 2 }\n${definition}    priority: 1\n`])(
    'accepts %j',
    (yaml) => {
      expect(found(yaml)).toEqual([]);
      expect(validate(parse(yaml))).toBe(true);
    },
  );

  test.each([
    'config: {}\n',
    `${definition}other: {}\n`,
    'bucket_definitions:\n  a: {}\n',
    `config: { edition: x }\n${definition}`,
    `${stream}    autosubscribe: true\n`,
  ])('refuses %j, as the validator does', (yaml) => {
    expect(found(yaml)).not.toEqual([]);
    expect(validate(parse(yaml))).toBe(false);
  });
});
