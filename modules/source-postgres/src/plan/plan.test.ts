import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseStrategy } from '../plan.ts';
import { splitBlocks } from './block-range.ts';
import { cutByKey, keyPoints, type KeyPoint } from './key-cuts.ts';
import { keyConditions, parseKeyRange } from './key-range.ts';
import { type Bounded, chain, tiles } from './tiling.ts';

/** As the reader's conditions have it: a bound of fewer values compares only those. */
function holds({ from, to }: Bounded<readonly string[]>, key: readonly string[]): boolean {
  return (from === null || order(key, from) >= 0) && (to === null || order(key, to) < 0);
}

function order(key: readonly string[], bound: readonly string[]): number {
  for (const [index, value] of bound.entries()) {
    const own = key[index] as string;
    if (own !== value) return own < value ? -1 : 1;
  }
  return 0;
}

const letter = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const bound = fc.array(letter, { minLength: 1, maxLength: 2 });

describe('a plan', () => {
  it('tiles: every row is in a range, whatever the bounds are, and in one if they ascend', () => {
    fc.assert(
      fc.property(fc.array(bound, { maxLength: 6 }), fc.tuple(letter, letter), fc.boolean(), (bounds, key, inOrder) => {
        const inner = inOrder ? ascending(bounds) : bounds;
        const ranges = chain<readonly string[]>(inner);
        expect(tiles(ranges)).toBe(true);
        const count = ranges.filter((range) => holds(range, key)).length;
        if (inOrder) expect(count).toBe(1);
        else expect(count).toBeGreaterThan(0);
      }),
    );
  });

  it('that leaves rows out is seen', () => {
    const ranges = chain([['b'], ['d', 'a'], ['e']]);
    for (const [at, range] of ranges.entries()) {
      const without = ranges.filter((_, index) => index !== at);
      expect(tiles(without)).toBe(false);
      const moved = (change: Partial<Bounded<string[]>>) => ranges.with(at, { ...range, ...change });
      expect(tiles(moved({ from: ['c'] }))).toBe(false);
      expect(tiles(moved({ to: ['c'] }))).toBe(false);
    }
    expect(tiles([])).toBe(false);
    expect(tiles([{ from: null, to: null }])).toBe(true);
  });

  it('by key has ascending cuts whose shares sum to one', () => {
    const points = fc
      .uniqueArray(letter, { maxLength: 6 })
      .chain((values) =>
        fc
          .array(fc.nat(9), { minLength: values.length, maxLength: values.length })
          .map((weights) => values.sort().map((value, index): KeyPoint => ({ value, weight: weights[index] ?? 0 }))),
      );
    fc.assert(
      fc.property(points, points, fc.integer({ min: 1, max: 8 }), (first, second, count) => {
        const cuts = cutByKey([first, second], count);
        expect(cuts[0]?.from).toBeNull();
        const bounds = cuts.slice(1).map(({ from }) => from as readonly string[]);
        expect(ascending(bounds)).toEqual(bounds);
        expect(cuts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
        expect(tiles(chain(bounds))).toBe(true);
        for (const { share } of cuts) expect(share).toBeGreaterThan(0.499 / count);
      }),
    );
  });
});

/** In the order of the keys, without those that begin where another one does. */
function ascending(bounds: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const text = (values: readonly string[]) => values.join(' ');
  const sorted = [...new Map(bounds.map((each) => [text(each), each])).values()].sort((a, b) =>
    text(a) < text(b) ? -1 : 1,
  );
  return sorted;
}

describe('cuts by key', () => {
  const even = (values: readonly string[]) => values.map((value) => ({ value, weight: 1 }));

  it('part a histogram evenly', () => {
    expect(cutByKey([even(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])], 4)).toEqual([
      { from: null, share: 0.25 },
      { from: ['c'], share: 0.25 },
      { from: ['e'], share: 0.25 },
      { from: ['g'], share: 0.25 },
    ]);
  });

  it('part one heavy value of the first column by the second', () => {
    const tenants = [
      { value: 'small', weight: 0.1 },
      { value: 'tenant', weight: 0.9 },
    ];
    const cuts = cutByKey([tenants, even(['1', '2', '3', '4', '5', '6', '7', '8'])], 4);
    expect(cuts.map(({ from }) => from?.[0] ?? null)).toEqual([null, 'tenant', 'tenant', 'tenant']);
    for (const { share } of cuts) expect(share).toBeGreaterThan(0.2);
  });

  it.each([0.08, 0.1, 0.12])('do not part the little before a heavy value (%s) from it', (little) => {
    const tenants = [
      { value: 'small', weight: little / 2 },
      { value: 'tenant', weight: 1 - little },
      { value: 'zero', weight: little / 2 },
    ];
    const keys = even(Array.from({ length: 100 }, (_, index) => String(index).padStart(2, '0')));
    const [first, second, ...others] = cutByKey([tenants, keys], 2);
    expect(others).toEqual([]);
    expect(second?.from?.[0]).toBe('tenant');
    for (const { share } of [first, second].flatMap((cut) => cut ?? [])) expect(share).toBeCloseTo(0.5, 1);
  });

  it('are not made around a heavy value that no other column parts', () => {
    const tenants = [
      { value: 'small', weight: 0.04 },
      { value: 'tenant', weight: 0.9 },
      { value: 'zero', weight: 0.06 },
    ];
    expect(cutByKey([tenants], 2)).toEqual([{ from: null, share: 1 }]);
  });

  it('are none without statistics, and none of what a single value makes', () => {
    expect(cutByKey([[]], 8)).toEqual([{ from: null, share: 1 }]);
    expect(cutByKey([even(['a'])], 8)).toEqual([{ from: null, share: 1 }]);
    expect(cutByKey([], 8)).toEqual([{ from: null, share: 1 }]);
  });

  it('weigh common values by their frequency and the others by the histogram', () => {
    expect(keyPoints({ bounds: ['a', 'c', 'e'], common: ['b'], frequencies: [0.4] })).toEqual([
      { value: 'a', weight: 0.3 },
      { value: 'c', weight: 0.3 },
      { value: 'e', weight: 0 },
      { value: 'b', weight: 0.4 },
    ]);
  });
});

describe('conditions of a range of keys', () => {
  const range = { key: ['a', 'b'], from: ['1'], to: ['9', "it's"] };

  it('compare row-wise, from the last row on', () => {
    expect(keyConditions(range, null)).toEqual([`("a") >= ('1')`, `("a", "b") < ('9', 'it''s')`]);
    expect(keyConditions(range, ['3', 'x'])).toEqual([`("a", "b") > ('3', 'x')`, `("a", "b") < ('9', 'it''s')`]);
    expect(keyConditions({ ...range, from: null, to: null }, null)).toEqual([]);
  });

  it('are made of what was stored as one, and of nothing else', () => {
    expect(parseKeyRange(range)).toEqual(range);
    for (const other of [null, 3, {}, { ...range, key: [] }, { ...range, from: [1] }, { ...range, to: undefined }])
      expect(parseKeyRange(JSON.parse(JSON.stringify(other)))).toBeNull();
  });
});

describe('the strategy', () => {
  const column = { name: 'id', type: 'integer', collation: null, bounds: ['1', '9'], common: [], frequencies: [] };
  it.each([
    ['blocks', 'auto', 'heap', [column]],
    ['keys', 'keys', 'heap', [column]],
    ['blocks', 'blocks', 'heap', [column]],
    ['blocks', 'keys', 'heap', []],
    ['blocks', 'keys', 'heap', [{ ...column, bounds: [] }]],
    ['keys', 'auto', 'columnar', [column]],
    ['keys', 'blocks', 'columnar', [{ ...column, bounds: [] }]],
  ] as const)('is %s when %s is wanted of a %s table', (chosen, wanted, method, key) => {
    expect(chooseStrategy({ method, key }, wanted)).toBe(chosen);
  });
});

describe('a task of blocks', () => {
  const task = (range: { from: number; to: number | null }, cursor: number | null) => ({
    relation: { sourceId: '1', connectionTag: '', schema: '', name: '', replicaIdentity: 'full', columns: [] } as const,
    range: { file: '7', ...range },
    cursor,
    rowsEstimate: 1000,
    bytesEstimate: 10_000,
  });

  it('is cut in the middle of what is left of it, and the parts are the whole', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), fc.nat(5000), fc.boolean(), (from, size, read, open) => {
        const whole = { from, to: open ? null : from + size };
        const cursor = read === 0 ? null : from + Math.min(read, size);
        const parts = splitBlocks(task(whole, cursor), { file: '7', ...whole }, from + size);
        if (from + size - (cursor ?? from) < 512) {
          expect(parts).toBeNull();
          return;
        }
        const [kept, given] = (parts ?? []).map((part) => part.range as { from: number; to: number | null });
        expect(kept?.from).toBe(whole.from);
        expect(kept?.to).toBe(given?.from);
        expect(given?.to).toBe(whole.to);
        expect(kept?.to).toBeGreaterThan(cursor ?? from);
      }),
    );
  });
});
