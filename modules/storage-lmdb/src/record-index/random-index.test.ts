/**
 * Random lives of one index, against a map: two processes that write in turn, transactions that are undone, restarts, and
 * limits under which some dozens of entries make pages split, blocks wait and slices be merged.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { atomically } from '../atomically.ts';
import { openSchema, type Schema } from '../schema.ts';
import { getTableSpace } from '../tables.ts';
import { type Entry, sortedEntries } from './index-entries.ts';
import type { IndexLimits } from './index-limits.ts';
import { RecordIndex } from './record-index.ts';

const LIMITS: IndexLimits = {
  pageBytes: 40,
  entriesPerPage: 4,
  blockFrom: 3,
  blockFull: 30,
  entriesMax: 200,
  worthPages: 0.5,
  pagesAlong: 1,
  filterFrom: 1,
};
const PROCESSES = 2;
const RUNS = Number(env['SLUICE_MODEL_RUNS'] ?? 15);
/** All over the space, at its ends, and some that share all bits but the last. */
const HASHES = [
  ...Array.from({ length: 90 }, (_, at) => Math.imul(at + 1, 0x9e3779b1) >>> 0),
  0,
  1,
  2,
  0x7fffffff,
  0x80000000,
  0xfffffffe,
  0xffffffff,
];

type Command =
  | { readonly kind: 'insert'; readonly keys: readonly string[]; readonly undone: boolean }
  | { readonly kind: 'remove'; readonly keys: readonly string[]; readonly undone: boolean }
  | { readonly kind: 'merge'; readonly pages: number }
  | { readonly kind: 'reopen' };
type Step = Command & { readonly process: number };

/** Two keys have each hash. */
const key = fc.tuple(fc.constantFrom(...HASHES), fc.nat(1)).map(([hash, twin]) => `${hash}/${twin}`);
const process = fc.nat(PROCESSES - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('insert' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 25 }),
      undone: fc.integer({ min: 0, max: 6 }).map((roll) => roll === 0),
      process,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 40 }),
      undone: fc.integer({ min: 0, max: 6 }).map((roll) => roll === 0),
      process,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('merge' as const), pages: fc.nat(4), process }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const), process }) },
);

function hashOf(key: string): number {
  return Number(key.split('/')[0]);
}

function isSame(found: readonly number[], expected: readonly number[]): boolean {
  return found.length === expected.length && expected.every((number) => found.includes(number));
}

const UNDONE = new Error('undone');

class Life {
  readonly path = mkdtempSync(join(tmpdir(), 'sluice-index-'));
  readonly #schemas: Schema[] = Array.from({ length: PROCESSES }, () => this.#open());
  /** Record number by key. */
  readonly #model = new Map<string, number>();
  readonly #keys = new Map<number, string>();
  #numbers = 0;
  blocksSeen = 0;

  #open(): Schema {
    return openSchema(this.path, 2 ** 26, LIMITS);
  }

  async run(step: Step): Promise<void> {
    const schema = this.#schemas[step.process] as Schema;
    if (step.kind === 'reopen') {
      await schema.root.close();
      this.#schemas[step.process] = this.#open();
    } else if (step.kind === 'merge') {
      await atomically(schema, () => new RecordIndex(schema, 1, 1).mergePages(step.pages));
    } else {
      const apply = step.kind === 'insert' ? this.#insert(schema, step.keys) : this.#remove(schema, step.keys);
      let changeModel = (): void => {};
      const done = atomically(schema, () => {
        changeModel = apply();
        if (step.undone) throw UNDONE;
      });
      if (step.undone) await expect(done).rejects.toBe(UNDONE);
      else await done.then(() => changeModel());
    }
    this.check();
  }

  #insert(schema: Schema, keys: readonly string[]) {
    return (): (() => void) => {
      const first = this.#numbers;
      this.#numbers += keys.length;
      for (const [at, key] of keys.entries()) this.#keys.set(first + at, key);
      const numbers = Float64Array.from(keys, (_, at) => first + at);
      const entries = sortedEntries({ hashes: Uint32Array.from(keys, hashOf), numbers });
      const known = new Set<number>();
      const isKnown = (at: number, found: readonly number[]): boolean => {
        const number = entries.numbers[at] as number;
        const isKnown = found.some((other) => this.#keys.get(other) === this.#keys.get(number));
        if (isKnown) known.add(number);
        return isKnown;
      };
      // As many groups each time, so that an insertion that was undone is followed by one that ends at the same group.
      const nextGroup = getTableSpace(schema, 1, 1).nextGroup + 1;
      new RecordIndex(schema, 1, 1).insert({ entries, nextGroup, isKnown });
      const expected = keys.map((key, at) => this.#model.has(key) || keys.indexOf(key) < at);
      expect(keys.map((_, at) => known.has(first + at))).toEqual(expected);
      return () => keys.forEach((key, at) => known.has(first + at) || this.#model.set(key, first + at));
    };
  }

  #remove(schema: Schema, keys: readonly string[]) {
    return (): (() => void) => {
      const removed: Entry[] = [...new Set(keys)].flatMap((key) => {
        const number = this.#model.get(key);
        return number === undefined ? [] : [{ hash: hashOf(key), number }];
      });
      new RecordIndex(schema, 1, 1).remove(removed);
      return () => keys.forEach((key) => this.#model.delete(key));
    };
  }

  /** Every hash leads to its records, once, and to nothing else, in every process. */
  check(): void {
    const expected = new Map<number, number[]>(HASHES.map((hash) => [hash, []]));
    for (const [key, number] of this.#model) expected.get(hashOf(key))?.push(number);
    for (const schema of this.#schemas) {
      schema.root.resetReadTxn();
      const index = new RecordIndex(schema, 1, 1);
      if (!index.isMerged) this.blocksSeen++;
      const wrong = [...expected].filter(([hash, numbers]) => !isSame(index.find(hash), numbers));
      expect(wrong.map(([hash, numbers]) => ({ hash, numbers, found: index.find(hash) }))).toEqual([]);
    }
  }

  /** Nothing is left of the journal when all hashes have been passed. */
  async end(): Promise<void> {
    const [schema] = this.#schemas as [Schema];
    for (let turns = 0; turns < 2; turns++) {
      await atomically(schema, () => new RecordIndex(schema, 1, 1).mergePages(Infinity));
    }
    this.check();
    schema.root.resetReadTxn();
    expect([...schema.indexJournal.getKeys()]).toEqual([]);
    for (const { root } of this.#schemas) await root.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}

test('whatever happens, every hash leads to its records', { timeout: 120_000 }, async () => {
  let blocksSeen = 0;
  const life = async (steps: readonly Step[]): Promise<void> => {
    const life = new Life();
    for (const step of steps) await life.run(step);
    await life.end();
    blocksSeen += life.blocksSeen;
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), life), { numRuns: RUNS, seed: 5 });
  expect(blocksSeen).toBeGreaterThan(10 * RUNS);
});
