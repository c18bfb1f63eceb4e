/** docs/races.md names a test for every race of the catalogue, and the test is there. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);

test('every race has a test', async () => {
  const table = await readFile(new URL('docs/races.md', ROOT), 'utf8');
  const rows = table.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    return /^\d+$/.test(cells[1] ?? '') ? [cells] : [];
  });
  expect(rows.map((cells) => Number(cells[1]))).toEqual(rows.map((_, index) => index + 1));
  expect(rows.length).toBeGreaterThanOrEqual(40);
  for (const [, number, race, required, rule, named] of rows) {
    for (const cell of [race, required, rule]) expect(cell, `row ${number}`).not.toBe('');
    const [file, name] = (named ?? '').split(' › ');
    const source = await readFile(new URL(file ?? '', ROOT), 'utf8');
    expect(source.includes(name ?? '\0'), `row ${number}: ${file} has no test “${name}”`).toBe(true);
  }
});

test('no race of test/races is left out of the table', async () => {
  const table = await readFile(new URL('docs/races.md', ROOT), 'utf8');
  const unnamed = ['test/races/visibility.test.ts'];
  for (const file of unnamed) {
    const source = await readFile(new URL(file, ROOT), 'utf8');
    for (const [, name] of source.matchAll(/^test\('([^']+)'/gm)) expect(table).toContain(name);
  }
});
