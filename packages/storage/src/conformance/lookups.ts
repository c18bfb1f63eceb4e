/** The parameter index, as of checkpoints. */
import { expect, test } from 'vitest';
import { put, remove } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

export function lookupConformance(withWorld: WithWorld): void {
  test('the newest entry up to the checkpoint counts; older checkpoints see older values', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.transaction(2, put(table, 'a', '1', { buckets: [], lookups: { ann: '["x"]' } }));
      const second = await world.transaction(3, put(table, 'a', '1', { buckets: [], lookups: { ann: '["y"]' } }));
      const third = await world.transaction(4, put(table, 'a', '1', { buckets: [], lookups: { bob: '["y"]' } }));
      const read = (opId: number) => world.reader.lookups(opId, ['ann', 'bob']);
      expect(await read(first.opId)).toEqual([['["x"]'], []]);
      expect(await read(second.opId)).toEqual([['["y"]'], []]);
      expect(await read(third.opId)).toEqual([[], ['["y"]']]);
      expect(await read(first.opId - 1)).toEqual([[], []]);
    }));

  test('entries that no op came with move the checkpoint all the same', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.transaction(2, put(table, 'a', '1', { buckets: [], lookups: { ann: '[1]' } }));
      const second = await world.transaction(3, put(table, 'b', '1', { buckets: [], lookups: { ann: '[2]' } }));
      expect(second.opId).toBeGreaterThan(first.opId);
      expect(await world.reader.lookups(first.opId, ['ann'])).toEqual([['[1]']]);
    }));

  test('several rows with one key all answer, until they end', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const other = await world.copiedTable('lists', 2);
      const row = (key: string) => put(table, key, '1', { buckets: [], lookups: { ann: `["${key}"]` } });
      await world.transaction(3, row('a'), row('a\0'), row('b'), {
        ...put(other, 'a', '1', { buckets: [], lookups: { ann: '["other"]' } }),
      });
      const values = async () => {
        const [found] = await world.reader.lookups((await world.checkpoint()).opId, ['ann']);
        return [...(found ?? [])].sort();
      };
      expect(await values()).toEqual(['["a\0"]', '["a"]', '["b"]', '["other"]']);
      await world.transaction(4, remove(table, 'a'), remove(other, 'a'));
      expect(await values()).toEqual(['["a\0"]', '["b"]']);
      await world.transaction(5, row('a'));
      expect(await values()).toEqual(['["a\0"]', '["a"]', '["b"]']);
    }));

  test('erasing a table ends its entries', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1', { lookups: { ann: '[1]' } }));
      await world.erase(table.id, 3);
      const { opId } = await world.committed(3);
      expect(await world.reader.lookups(opId, ['ann'])).toEqual([[]]);
    }));

  test('lookup keys of all kinds and lengths are told apart', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const long = 'k'.repeat(5000);
      const keys = ['', 'a', 'aa', 'a\0', `${long}1`, `${long}2`, 'é', '1', '"1"'];
      const lookups = Object.fromEntries(keys.map((key, i) => [key, `[${i}]`]));
      const { opId } = await world.transaction(2, put(table, 'a', '1', { lookups }));
      expect(await world.reader.lookups(opId, keys)).toEqual(keys.map((_, i) => [`[${i}]`]));
    }));
}
