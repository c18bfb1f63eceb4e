import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { atomically } from '../atomically.ts';
import { RecordIndex } from './record-index.ts';
import { openSchema, type Schema } from '../schema.ts';

let path: string;
let schema: Schema;
let groups = 0;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'sluice-index-'));
  schema = openSchema(path, 2 ** 30);
});

afterEach(async () => {
  await schema.root.close();
  rmSync(path, { recursive: true, force: true });
});

async function insert(entries: readonly (readonly [hash: number, number: number])[]): Promise<void> {
  const sorted = [...entries].sort((a, b) => a[0] - b[0]);
  const hashes = Uint32Array.from(sorted, ([hash]) => hash);
  const numbers = Float64Array.from(sorted, ([, number]) => number);
  await atomically(schema, () =>
    new RecordIndex(schema, 1, 1).insert({ entries: { hashes, numbers }, nextGroup: ++groups, isKnown: null }),
  );
}

function find(hash: number): number[] {
  schema.root.resetReadTxn();
  return new RecordIndex(schema, 1, 1).find(hash);
}

/** The same sequence for every run. */
function hashesOf(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 0);
}

test('tens of thousands of entries in batches are found, and what was not put in is not', async () => {
  const hashes = hashesOf(30_000, 1);
  for (let from = 0; from < hashes.length; from += 7_000) {
    await insert(hashes.slice(from, from + 7_000).map((hash, at) => [hash, from + at]));
  }
  for (const [at, hash] of hashes.entries()) expect(find(hash)).toEqual([at]);
  for (const hash of hashesOf(1_000, 40_000)) expect(find(hash)).toEqual([]);
});

test('hashes of one prefix split page after page', async () => {
  const low = Array.from({ length: 2_000 }, (_, i) => i);
  await insert(low.map((hash) => [hash, hash]));
  await insert([
    [0xffffffff, 1],
    [0x80000000, 2],
    [0x7fffffff, 3],
  ]);
  for (const hash of low) expect(find(hash)).toEqual([hash]);
  expect([find(0xffffffff), find(0x80000000), find(0x7fffffff), find(2_000)]).toEqual([[1], [2], [3], []]);
});

test('more entries of one hash than a page holds stay together', async () => {
  await insert(Array.from({ length: 1_000 }, (_, i) => [77, i] as const));
  await insert([[76, 5]]);
  expect(find(77)).toHaveLength(1_000);
  expect(find(76)).toEqual([5]);
});

test('an entry is removed by its number, and can come back', async () => {
  await insert([
    [5, 1],
    [5, 2 ** 40],
    [6, 3],
  ]);
  await atomically(schema, () => {
    const index = new RecordIndex(schema, 1, 1);
    index.remove([
      { hash: 5, number: 1 },
      { hash: 6, number: 99 },
      { hash: 7, number: 1 },
    ]);
  });
  expect([find(5), find(6)]).toEqual([[2 ** 40], [3]]);
  await atomically(schema, () => new RecordIndex(schema, 1, 1).remove([{ hash: 6, number: 3 }]));
  await atomically(schema, () => new RecordIndex(schema, 1, 1).remove([{ hash: 5, number: 2 ** 40 }]));
  expect([find(5), find(6)]).toEqual([[], []]);
  await insert([[6, 4]]);
  expect(find(6)).toEqual([4]);
});

test('entries that are known are left out', async () => {
  await insert([[5, 1]]);
  const asked: unknown[] = [];
  await atomically(schema, () =>
    new RecordIndex(schema, 1, 1).insert({
      entries: { hashes: Uint32Array.from([4, 5, 5, 6, 6]), numbers: Float64Array.from([10, 11, 12, 13, 14]) },
      nextGroup: ++groups,
      isKnown: (at, found) => {
        asked.push([at, [...found]]);
        return at === 1 || at === 4;
      },
    }),
  );
  expect(asked).toEqual([
    [1, [1]],
    [2, [1]],
    [4, [13]],
  ]);
  expect([find(4), find(5), find(6)]).toEqual([[10], [1, 12], [13]]);
});
