/** `sluice validate` and `sluice schema` on a real source, and what they print in the hands of the real SDK. */
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Schema } from '@powersync/node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clientSchemaText, languageNames } from '../../service/src/cli/client-languages.ts';
import { startPostgres, type TestPostgres } from '../kit/postgres.ts';
import { PROGRAM } from '../../service/src/dev/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-client-schema-'));
const run = promisify(execFile);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function sluice(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...PROGRAM, ...args]);
  return stdout;
}

/** Runs the printed module, its types taken away, on the SDK that this repository has. */
async function schemaOf(code: string): Promise<Schema> {
  const sdk = import.meta.resolve('@powersync/node');
  const module = code.replace('@powersync/common', sdk).replace(/^export type .*$/m, '');
  const { AppSchema } = (await import(file(`app-schema-${module.length}.mjs`, module))) as { AppSchema: Schema };
  return AppSchema;
}

it('prints a schema that the SDK takes, from rules and a live source', async () => {
  const database = await postgres.createDatabase();
  await database.query('create table lists (id uuid primary key, name text, done bool, cost float8, "odd ""x" int)');
  const config = file(
    'sluice.yaml',
    JSON.stringify({ replication: { connections: [{ type: 'postgresql', uri: database.uri, sslmode: 'disable' }] } }),
  );
  const rules = file(
    'rules.yaml',
    'config: { edition: 3 }\nstreams:\n  a: { query: "SELECT *, upper(nme) AS u FROM lists" }\n',
  );
  const validated = JSON.parse(await sluice('validate', rules, '--config', config, '--json')) as {
    diagnostics: readonly { code: string; hint: string }[];
  };
  expect(validated.diagnostics.map(({ code }) => code)).toEqual(['unknown-column']);
  expect(validated.diagnostics[0]?.hint).toContain('name');

  const code = await sluice('schema', rules, '--config', config);
  const schema = await schemaOf(code);
  expect((schema.toJSON() as { tables: { columns: unknown }[] }).tables[0]?.columns).toEqual([
    { name: 'name', type: 'TEXT' },
    { name: 'done', type: 'INTEGER' },
    { name: 'cost', type: 'REAL' },
    { name: 'odd "x', type: 'INTEGER' },
    { name: 'u', type: 'TEXT' },
  ]);

  const source = file('source.json', await sluice('schema', '--config', config));
  expect(await sluice('schema', rules, '--schema', source)).toBe(code);
}, 60_000);

it('prints TypeScript that compiles against the SDK', async () => {
  const names = ['lists', 'odd-name', '1st', '__proto__', 'class'];
  const tables = names.map((name) => ({
    name,
    columns: [...names, 'a$b', 'q"\\\u0001'].map((each) => ({ name: each, type: 'text' as const })),
    complete: name !== 'lists',
  }));
  const code = clientSchemaText({ tables }, 'ts');
  const path = fileURLToPath(new URL('zz-app-schema.ts', `file://${folder}/`));
  writeFileSync(path, code);
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const paths = file(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        noEmit: true,
        strict: true,
        module: 'esnext',
        moduleResolution: 'bundler',
        target: 'es2023',
        skipLibCheck: true,
        types: [],
        paths: { '@powersync/common': [join(root, 'node_modules/@powersync/common')] },
      },
      files: [path],
    }),
  );
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', paths]).catch(
    (error: { stdout: string }) => expect.fail(error.stdout),
  );
  expect(Object.keys((await schemaOf(code)).props)).toEqual(expect.arrayContaining(names));
}, 60_000);

it.each(languageNames)('has every table and column in %s', (name) => {
  const tables = [{ name: 'a$b', columns: [{ name: 'c"d', type: 'real' as const }], complete: true }];
  const code = clientSchemaText({ tables }, name);
  expect(code).toMatch(name === 'dart' || name === 'kotlin' ? /"a\\\$b"/ : /"a\$b"/);
  expect(code).toContain('c\\"d');
});
