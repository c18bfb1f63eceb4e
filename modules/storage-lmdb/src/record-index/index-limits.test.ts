import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { atomically } from '../atomically.ts';
import { openSchema } from '../schema.ts';
import { sortedEntries } from './index-entries.ts';
import { INDEX_LIMITS, type IndexLimits, indexWork } from './index-limits.ts';
import { RecordIndex } from './record-index.ts';

/** A twentieth of the real ones. */
const LIMITS: IndexLimits = { ...INDEX_LIMITS, pageBytes: 200, entriesPerPage: 4, blockFrom: 100 };
const FLUSH = 500;

test('a flush writes as many pages of a large index as of one of half the size', async () => {
  const path = mkdtempSync(join(tmpdir(), 'sluice-index-'));
  const schema = openSchema(path, 2 ** 30, LIMITS);
  const put = vi.spyOn(schema.index, 'putSync');
  const insert = async (from: number): Promise<void> => {
    const hashes = Uint32Array.from({ length: FLUSH }, (_, at) => Math.imul(from + at, 0x9e3779b1));
    const entries = sortedEntries({ hashes, numbers: Float64Array.from(hashes, (_, at) => from + at) });
    const nextGroup = from + FLUSH;
    await atomically(schema, () => new RecordIndex(schema, 1, 1).insert({ entries, nextGroup, isKnown: () => false }));
  };
  /** Pages of a flush, on average of a quarter of all. */
  const quarters: number[] = [];
  for (let flush = 0; flush < 80; flush++) {
    await insert(flush * FLUSH);
    if (flush % 20 !== 19) continue;
    quarters.push(put.mock.calls.length / 20);
    put.mockClear();
  }
  await schema.root.close();
  rmSync(path, { recursive: true, force: true });
  const [, second, , fourth] = quarters as [number, number, number, number];
  expect(fourth).toBeLessThan(1.2 * second);
  expect(fourth).toBeLessThan(FLUSH / 2);
});

test('a small index is merged at once, and a few entries go to their pages', () => {
  expect(indexWork(30_000, 1, INDEX_LIMITS)).toMatchObject({ adds: 'entries' });
  expect(indexWork(30_000, 1_000, INDEX_LIMITS)).toMatchObject({ adds: 'entries' });
  expect(indexWork(999, 350_000, INDEX_LIMITS)).toMatchObject({ adds: 'entries' });
  expect(indexWork(1, 1, INDEX_LIMITS)).toMatchObject({ adds: 'entries' });
});

test('a large index takes blocks, as many as fit into memory', () => {
  for (const pages of [4_000, 17_500, 350_000]) {
    const { adds, merged } = indexWork(30_000, pages, INDEX_LIMITS);
    expect(adds).toBe('block');
    expect(merged).toBeGreaterThanOrEqual(30_000 / INDEX_LIMITS.entriesMax);
  }
  const many = indexWork(2 ** 18, 100_000, INDEX_LIMITS);
  expect(many).toMatchObject({ adds: 'block', merged: 2 ** 18 / INDEX_LIMITS.entriesMax });
});
