import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { atomically } from '../atomically.ts';
import { openSchema, type Schema } from '../schema.ts';
import { getTableSpace } from '../tables.ts';
import { HashFilter } from './hash-filter.ts';
import { sortedEntries } from './index-entries.ts';
import { INDEX_LIMITS } from './index-limits.ts';
import { RecordIndex } from './record-index.ts';
import { sortedHashes } from './sorted-hashes.ts';

const LAST = 2 ** 32 - 1;

function hashesFrom(first: number, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, at) => Math.imul(first + at, 0x9e3779b1));
}

test('a filter finds nothing new that was added, and hardly anything else old', () => {
  const filter = new HashFilter(100);
  filter.markKnown(0, LAST);
  const added = hashesFrom(1, 30_000);
  filter.addAll(added);
  expect(filter.suspects(added)).toHaveLength(30_000);
  expect(filter.suspects(hashesFrom(1_000_000, 30_000)).length).toBeLessThan(1_500);
});

test('what a filter was not told of may be there', () => {
  const filter = new HashFilter(100);
  const half = 2 ** 31;
  expect(filter.suspects(Uint32Array.of(0, half, LAST))).toHaveLength(3);
  filter.markKnown(half, LAST);
  expect([...filter.suspects(Uint32Array.of(0, half - 1, half, LAST))]).toEqual([0, 1]);
});

test('hashes are sorted, and equal ones stay as they stood', () => {
  const hash = fc.oneof(fc.nat(3), fc.integer({ min: 0, max: LAST }), fc.integer({ min: LAST - 3, max: LAST }));
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 200 }), (hashes) => {
      const { hashes: sorted, order } = sortedHashes(Uint32Array.from(hashes));
      const expected = hashes.map((hash, at) => [hash, at] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      expect([...sorted].map((hash, place) => [hash, order[place]])).toEqual(expected);
    }),
  );
});

const FLUSH = 1_500;

/** Flushes of new entries. @returns pages that the last of them read */
async function pagesRead(
  path: string,
  processOf: (flush: number, processes: readonly Schema[]) => Schema,
): Promise<number> {
  const processes = [openSchema(path, 2 ** 30), openSchema(path, 2 ** 30)];
  let read = 0;
  for (let flush = 0; flush < 40; flush++) {
    const schema = processOf(flush, processes);
    const hashes = hashesFrom(flush * FLUSH, FLUSH);
    const entries = sortedEntries({ hashes, numbers: Float64Array.from(hashes, (_, at) => flush * FLUSH + at) });
    const gets = vi.spyOn(schema.index, 'getBinaryFast');
    await atomically(schema, () => {
      const nextGroup = getTableSpace(schema, 1, 1).nextGroup + 1;
      new RecordIndex(schema, 1, 1).insert({ entries, nextGroup, isKnown: () => false });
    });
    read = gets.mock.calls.length;
    gets.mockRestore();
  }
  for (const { root } of processes) await root.close();
  return read;
}

test('a process that adds alone looks at few pages for what is new', async () => {
  const path = mkdtempSync(join(tmpdir(), 'sluice-index-'));
  const [alone, inTurns] = [join(path, 'alone'), join(path, 'in-turns')];
  const first = await pagesRead(alone, (_, [one]) => one as Schema);
  const second = await pagesRead(inTurns, (flush, processes) => processes[flush % 2] as Schema);
  rmSync(path, { recursive: true, force: true });
  expect(second).toBeGreaterThan(180);
  expect(first).toBeLessThan(second / 2);
});

test('behind a transaction that was undone, what another process has added in its place is found', async () => {
  const path = mkdtempSync(join(tmpdir(), 'sluice-index-'));
  const limits = { ...INDEX_LIMITS, filterFrom: 1, entriesPerPage: 1_000, worthPages: 0 };
  const [one, other] = [openSchema(path, 2 ** 30, limits), openSchema(path, 2 ** 30, limits)];
  const insert = (schema: Schema, first: number, undone?: Error): Promise<number> =>
    atomically(schema, () => {
      let asked = 0;
      const entries = sortedEntries({ hashes: hashesFrom(first, 1_000), numbers: new Float64Array(1_000) });
      const nextGroup = getTableSpace(schema, 1, 1).nextGroup + 1;
      const isKnown = (): boolean => ++asked > 0;
      new RecordIndex(schema, 1, 1).insert({ entries, nextGroup, isKnown });
      if (undone !== undefined) throw undone;
      return asked;
    });
  for (let flush = 0; flush < 8; flush++) expect(await insert(one, 1_000 * flush)).toBe(0);
  const undone = new Error('undone');
  await expect(insert(one, 10_000, undone)).rejects.toBe(undone);
  await insert(other, 20_000);
  expect(await insert(one, 20_000)).toBe(1_000);
  for (const { root } of [one, other]) await root.close();
  rmSync(path, { recursive: true, force: true });
});

test('what is added between the parts of a copy, by whoever knows that it is new, is found by the next one', async () => {
  const path = mkdtempSync(join(tmpdir(), 'sluice-index-'));
  const limits = { ...INDEX_LIMITS, filterFrom: 1, entriesPerPage: 1_000, worthPages: 0 };
  const schema = openSchema(path, 2 ** 30, limits);
  const insert = (first: number, by: 'copy' | 'stream'): Promise<number> =>
    atomically(schema, () => {
      let asked = 0;
      const entries = sortedEntries({ hashes: hashesFrom(first, 1_000), numbers: new Float64Array(1_000) });
      const nextGroup = getTableSpace(schema, 1, 1).nextGroup + 1;
      const isKnown = by === 'stream' ? null : (): boolean => ++asked > 0;
      new RecordIndex(schema, 1, 1).insert({ entries, nextGroup, isKnown });
      return asked;
    });
  for (let flush = 0; flush < 8; flush++) expect(await insert(1_000 * flush, 'copy')).toBe(0);
  await insert(20_000, 'stream');
  expect(await insert(20_000, 'copy')).toBe(1_000);
  await schema.root.close();
  rmSync(path, { recursive: true, force: true });
});
