/**
 * The checklist of the language's specification, item by item: the named cases that show each, which are measured cases
 * (run by rules.test.ts where their file is at hand) or cases of our own, and the tests of items without a name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { limits } from '@sluice/core';
import { parseSyncRules, TimeValue } from '@sluice/sync-rules';
import { describe, expect, it, test } from 'vitest';
import { readRulesCases } from './rules-case-file.ts';

const NAMED: Readonly<Record<string, string>> = {
  '1': 'ya-03',
  '2': 'ya-02',
  3: 'ya-04',
  '4': 'ya-05',
  '5': 'ya-06',
  '6': 'ya-07',
  '7': 'ya-10',
  '8': 'ya-12',
  '9': 'ya-13',
  '10': 'ya-19',
  '11': 'ya-20',
  '12': 'ya-21',
  '13': 'ya-22',
  '14': 'ya-24',
  '15': 'bd-26 ya-34',
  '16': 'ya-17 ya-18',
  '17': 'ya-31',
  '18': 'ya-32',
  '19': 'ya-29 ya-30',
  '22': 'bd-01',
  '23': 'bd-02',
  '24': 'bd-03 bd-04',
  '25': 'bd-05',
  '26': 'bd-06',
  '27': 'bd-07',
  '28': 'bd-08',
  '29': 'bd-09',
  '30': 'bd-10 bd-11',
  '31': 'bd-12',
  '32': 'bd-13',
  '33': 'bd-14',
  '34': 'bd-15',
  '35': 'al-15 bd-16 bd-17 bd-18 bd-19',
  '36': 'bd-24 bd-25',
  '37': 'bd-27',
  '38': 'bd-28',
  '39': 'bd-30',
  '40': 'bd-51 bd-52',
  '41': 'bd-53',
  '42': 'bd-54',
  '43': 'bd-56',
  '44': 'bd-57 bd-58',
  '45': 'bd-41',
  '46': 'bd-44',
  '47': 'bd-45',
  '48': 'xb-13',
  '49': 'xb-12',
  '50': 'xb-01',
  '51': 'bd-20',
  '52': 'bd-22',
  '53': 'bd-31',
  '54': 'bd-32',
  '55': 'bd-33',
  '56': 'bd-34',
  '57': 'bd-35',
  '58': 'bd-37',
  '59': 'bd-38',
  '60': 'bd-40',
  '61': 'bd-42',
  '62': 'bd-43',
  '63': 'bd-46',
  '64': 'bd-47 bd-48 bd-49',
  '65': 'bd-61',
  '66': 'xb-05',
  '67': 'ty-12',
  '68': 'xb-18',
  '69': 'xb-06',
  '70': 'ex-01',
  '71': 'ex-02',
  '72': 'ex-03',
  '73': 'ex-04',
  '74': 'ex-05',
  '75': 'ex-06',
  '76': 'ex-07',
  '77': 'ex-08 ex-48',
  '78': 'ex-09',
  '79': 'ex-10',
  '80': 'ex-11',
  '81': 'ex-12',
  '82': 'ex-13',
  '83': 'ex-14 ex-15',
  '84': 'ex-16',
  '85': 'ex-17 ex-18',
  '86': 'ex-19 ex-20',
  '87': 'ex-21',
  '88': 'ex-22 ex-23',
  '89': 'ex-24 ex-25 ex-26',
  '90': 'ex-27',
  '91': 'ex-30 ex-31 ex-32 ex-47',
  '92': 'ex-38 ex-39',
  '93': 'ex-42',
  '94': 'vf-01',
  '95': 'vf-02 vf-03 vf-04',
  '96': 'st-01 st-02',
  '97': 'st-05',
  '98': 'st-06',
  '99': 'st-08',
  '100': 'st-09 st-10',
  '101': 'st-11 xs-18',
  '102': 'st-12',
  '103': 'st-13 st-14',
  '104': 'st-15',
  '105': 'st-16 st-17',
  '106': 'st-18',
  '107': 'st-19',
  '108': 'st-20',
  '109': 'st-21 st-67 xs-38',
  '110': 'st-22',
  '111': 'st-23',
  '112': 'st-24',
  '113': 'st-25 st-73 xs-21 xs-22',
  '114': 'st-26 xs-19',
  '115': 'st-29 xs-20 xs-35',
  '116': 'st-31 st-32 st-33 st-34',
  '117': 'st-37',
  '118': 'st-46 st-47',
  '119': 'st-48 st-49 st-50 st-51 st-52 st-53 st-54',
  '120': 'st-63 xs-30',
  '121': 'st-68 xs-18',
  '121b': 'vf-05 vf-06 vf-16',
  '122': 'st-75',
  '123': 'xs-06 xs-07 xs-08',
  '124': 'xs-10',
  '125': 'xs-37',
  '126': 'st-74',
  '129': 'ty-01 ty-02 ty-03 ty-04 ty-05 ty-06',
  '130': 'ty-07',
  '131': 'ty-10',
};

/** Items without a named case: a test of this file, or a file of tests. */
const OTHERS: Readonly<Record<string, string>> = {
  '20': 'CRLF line ends',
  '21': 'places count UTF-16 code units',
  '127': 'limits are a thousand',
  '128': 'limits are a thousand',
  '132': 'type-extremes.pg.test.ts',
  '133': 'bson-values.test.ts',
};

const own = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');
const ownNames = new Set(
  ['rules-named-cases.test.ts', 'rules-named-results.test.ts', 'rules-checklist.test.ts'].flatMap((file) =>
    [...own(file).matchAll(/'([a-z]{2}-\d\d)[' ]/g)].map((match) => match[1]),
  ),
);
const measured =
  process.env['SLUICE_RULES_CASES'] ?? join(import.meta.dirname, '../../../shared/cases/sync-rules.json');

describe('the checklist', () => {
  it('has 134 items, each with a case or a test', () => {
    const items = [...Array.from({ length: 133 }, (_, index) => String(index + 1)), '121b'];
    expect(items.filter((item) => !(item in NAMED) && !(item in OTHERS))).toEqual([]);
  });

  it.skipIf(!existsSync(measured))('names cases that are there', () => {
    const known = new Set(readRulesCases(measured).map(({ name }) => name.slice(0, 5)));
    const names = Object.values(NAMED).flatMap((list) => list.split(' '));
    expect(names.filter((name) => !known.has(name) && !ownNames.has(name))).toEqual([]);
  });

  it('names tests that are there', () => {
    const missing = Object.values(OTHERS).filter((name) => {
      if (name.endsWith('.ts')) return !existsSync(join(import.meta.dirname, name));
      return !own('rules-checklist.test.ts').includes(`test('${name}'`);
    });
    expect(missing).toEqual([]);
  });
});

const document =
  "bucket_definitions:\n  d:\n    data:\n      - |\n        SELECT id, '👍🏽' AS a,\n        uper(x) AS b FROM t\n";

test('CRLF line ends', () => {
  const text = document.replaceAll('\n', '\r\n');
  const [diagnostic, ...others] = parseSyncRules(text, { defaultSchema: 'public' }).diagnostics;
  expect(others).toEqual([]);
  expect(diagnostic).toMatchObject({ text: 'uper(x)', start: text.indexOf('uper'), line: 6, column: 9 });
});

test('places count UTF-16 code units', () => {
  const text = document.replace('\n        uper', ' uper');
  const [diagnostic] = parseSyncRules(text, { defaultSchema: 'public' }).diagnostics;
  expect(diagnostic).toMatchObject({ text: 'uper(x)', start: text.indexOf('uper'), line: 5 });
  expect(diagnostic?.column).toBe(text.indexOf('uper') - text.lastIndexOf('\n', text.indexOf('uper')));
});

test('limits are a thousand', () => {
  expect(limits).toMatchObject({ parameterResultsMax: 1000, bucketsPerConnectionMax: 1000 });
});

const microseconds = { max: 6, default: 6 };
const milliseconds = { max: 3, default: 3 };
const timestamp = new TimeValue('2024-03-04T05:06:07.12', { kind: 'datetime', legacy: null, digits: microseconds });
const timestamptz = new TimeValue('2024-03-04T05:06:07Z', { kind: 'datetime', legacy: null, digits: microseconds });
const time = new TimeValue('05:06:07', { kind: 'time', legacy: null, digits: microseconds });
const mongo = new TimeValue('2024-03-04T05:06:07.120Z', { kind: 'datetime', legacy: null, digits: milliseconds });

test.each([
  [
    'ty-02',
    '',
    ['2024-03-04T05:06:07.120000', '2024-03-04T05:06:07.000000Z', '05:06:07.000000', '2024-03-04T05:06:07.120Z'],
  ],
  [
    'ty-05',
    ', timestamp_max_precision: nanoseconds',
    ['2024-03-04T05:06:07.120000', '2024-03-04T05:06:07.000000Z', '05:06:07.000000', '2024-03-04T05:06:07.120Z'],
  ],
] as const)('%s', (_, option, wanted) => {
  const yaml = `config: { edition: 2${option} }\nbucket_definitions:\n  d: { data: ["SELECT '' AS id, * FROM t"] }\n`;
  const columns = ['a', 'b', 'c', 'd'].map((name) => ({ name, type: '', typeId: 0 }));
  const table = { connectionTag: 'default', schema: 'public', name: 't', columns };
  const evaluator = parseSyncRules(yaml, { defaultSchema: 'public' }).rules?.compileTypedTable(table);
  const found: unknown[] = [];
  evaluator?.evaluate([timestamp, timestamptz, time, mongo], {
    data: (_bucket, _type, _id, json) => {
      const { a, b, c, d } = JSON.parse(json) as Record<string, string>;
      found.push(a, b, c, d);
    },
    lookup: () => undefined,
    error: (_definition, message) => found.push(message),
  });
  expect(found).toEqual(wanted);
});
