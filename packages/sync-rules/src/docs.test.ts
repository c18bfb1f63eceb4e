/**
 * docs/sync-rules.md says what the tables of functions and diagnostics say, its examples work, and the schema for
 * editors beside it is the current one. `UPDATE=1` rewrites the generated parts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diagnosticCodes } from './diagnostic-codes.ts';
import { scalarFunctions } from './functions/table.ts';
import { parseSyncRules } from './parse.ts';
import { editorSchema } from './yaml/editor-schema.ts';

const path = join(import.meta.dirname, '../../../docs/sync-rules.md');

function functionsTable(): string {
  const rows = [...scalarFunctions.values()].map(({ name, minArgs, maxArgs, inStreams, doc }) => {
    const args = minArgs === maxArgs ? `${minArgs}` : `${minArgs} to ${Number.isFinite(maxArgs) ? maxArgs : 'any'}`;
    return `| \`${name}\` | ${args} | ${doc}${inStreams ? '' : ' Not in edition 3.'} |`;
  });
  return ['| function | arguments | |', '|---|---|---|', ...rows].join('\n');
}

function diagnosticsList(): string {
  return Object.entries(diagnosticCodes)
    .map(([code, { severity, text, hint }]) => `### ${code}\n\n${text} (${severity}).\n\nWhat to do: ${hint}`)
    .join('\n\n');
}

function withSection(document: string, name: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(<!-- /${name} -->)`);
  expect(document).toMatch(pattern);
  return document.replace(pattern, (_, head: string, tail: string) => `${head}\n${content}\n\n${tail}`);
}

test('docs/sync-rules.md lists every function and every diagnostic', () => {
  const document = readFileSync(path, 'utf8');
  const wanted = withSection(withSection(document, 'functions', functionsTable()), 'diagnostics', diagnosticsList());
  if (process.env.UPDATE === '1') writeFileSync(path, wanted);
  else expect(document).toBe(wanted);
});

test('docs/sync-rules.schema.json is the schema for editors', () => {
  const schemaPath = join(import.meta.dirname, '../../../docs/sync-rules.schema.json');
  const wanted = `${JSON.stringify(editorSchema(), null, 2)}\n`;
  if (process.env.UPDATE === '1') writeFileSync(schemaPath, wanted);
  else expect(JSON.parse(readFileSync(schemaPath, 'utf8'))).toEqual(JSON.parse(wanted));
});

test('the examples of docs/sync-rules.md have no problems', () => {
  const blocks = [...readFileSync(path, 'utf8').matchAll(/^```yaml\n([^]*?)^```/gm)].map((match) => match[1] ?? '');
  expect(blocks.length).toBeGreaterThan(2);
  for (const yaml of blocks) {
    const { diagnostics } = parseSyncRules(yaml, { defaultSchema: 'public' });
    expect(diagnostics.filter(({ severity }) => severity === 'fatal')).toEqual([]);
  }
});

test('the parameter queries of docs/sync-rules.md have no problems', () => {
  const blocks = [...readFileSync(path, 'utf8').matchAll(/^```sql\n([^]*?)^```/gm)].map((match) => match[1] ?? '');
  const queries = blocks.flatMap((block) => block.trim().split('\n'));
  expect(queries.length).toBeGreaterThan(5);
  for (const sql of queries) {
    const yaml = `bucket_definitions:\n  b:\n    parameters: ${JSON.stringify(sql)}\n    data: []\n`;
    expect(parseSyncRules(yaml, { defaultSchema: 'public' }).diagnostics).toEqual([]);
  }
});
