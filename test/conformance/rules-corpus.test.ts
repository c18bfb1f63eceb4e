/**
 * Rules files as people get them wrong, each with the codes it must give. A file says so in its first line; where that
 * line would change what is tested, `expected.json` does.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { diagnosticCodes, parseSyncRules } from '@sluice/sync-rules';
import { describe, expect, it } from 'vitest';
import { cpuTimed } from '../../packages/sync-rules/src/test-cpu-time.ts';

const root = join(import.meta.dirname, '../corpus/rules');
const sidecar = JSON.parse(readFileSync(join(root, 'expected.json'), 'utf8')) as Record<string, readonly string[]>;

function filesOf(kind: string): readonly string[] {
  return readdirSync(join(root, kind)).map((name) => `${kind}/${name}`);
}

function expectedCodes(file: string, text: string): readonly string[] {
  const [, list] = /^# expect: (.*)/.exec(text) ?? [];
  const codes = sidecar[file] ?? list?.split(', ');
  if (codes === undefined) throw new Error(`${file} does not say what is expected`);
  return codes.filter((code) => code !== 'nothing');
}

describe.each([
  ['yaml', 80],
  ['sql', 150],
] as const)('%s', (kind, least) => {
  const files = filesOf(kind);

  it(`has at least ${least} files`, () => expect(files.length).toBeGreaterThanOrEqual(least));

  it.each(files)('%s', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const { result, cpuMs } = cpuTimed(() => parseSyncRules(text, { defaultSchema: 'public' }));
    const { diagnostics, rules } = result;
    const expected = expectedCodes(file, text);
    expect(diagnostics.map(({ code }) => code).sort()).toEqual([...expected].sort());
    const isFatal = (code: string): boolean =>
      diagnosticCodes[code as keyof typeof diagnosticCodes].severity === 'fatal';
    expect(rules === null).toBe(expected.some(isFatal));
    for (const each of diagnostics) {
      expect(each.message.length > 0 && each.hint.length > 0).toBe(true);
      expect(text.slice(each.start, each.end)).toBe(each.text);
    }
    expect(cpuMs).toBeLessThan(1000);
  });
});

const withQuery = (sql: string): string => `bucket_definitions:\n  a:\n    data:\n      - ${JSON.stringify(sql)}\n`;
const terms = Array.from({ length: 2000 }, (_, index) => `x = ${index}`);

/** Too large to keep as files. */
const GENERATED: readonly (readonly [string, string, readonly string[]])[] = [
  ['2,000 terms of OR', withQuery(`SELECT id FROM t WHERE ${terms.join(' OR ')}`), []],
  ['2,000 terms of AND', withQuery(`SELECT id FROM t WHERE ${terms.join(' AND ')}`), []],
  ['3,000 parentheses', withQuery(`SELECT id FROM t WHERE ${'('.repeat(3000)}x${')'.repeat(3000)}`), ['sql-too-deep']],
  ['3,000 times NOT', withQuery(`SELECT id FROM t WHERE ${'NOT '.repeat(3000)}x`), ['sql-too-deep']],
  ['a literal of 1 MB', withQuery(`SELECT id, '${'a'.repeat(1_000_000)}' AS x FROM t`), []],
  ['a name of 100 kB', withQuery(`SELECT id FROM "${'t'.repeat(100_000)}"`), []],
  ['10 MB', `${'# comment\n'.repeat(1_048_576)}${withQuery('SELECT id FROM t')}`, ['yaml-too-large']],
  ['10^5 levels of flow', `bucket_definitions: ${'['.repeat(100_000)}`, ['yaml-too-complex']],
  ['10^5 levels of maps', `bucket_definitions: ${'{a: '.repeat(100_000)}`, ['yaml-too-complex']],
  [
    'an alternative of 2^12 terms',
    stream(Array.from({ length: 12 }, (_, i) => `(a${i} = auth.user_id() OR b${i} = auth.user_id())`).join(' AND ')),
    ['too-many-terms'],
  ],
  ['invalid UTF-8, decoded', new TextDecoder().decode(Buffer.from([0xff, 0xfe, 0x61])), ['not-a-map']],
];

function stream(where: string): string {
  return `config: { edition: 3 }\nstreams:\n  a:\n    query: SELECT id FROM t WHERE ${where}\n`;
}

it.each(GENERATED)('%s', (_, text, expected) => {
  const { result, cpuMs } = cpuTimed(() => parseSyncRules(text, { defaultSchema: 'public' }));
  expect(result.diagnostics.map(({ code }) => code)).toEqual(expected);
  expect(cpuMs).toBeLessThan(2000);
});
