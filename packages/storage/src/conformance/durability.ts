/** What has been acknowledged is there after the process died. */
import { expect, test } from 'vitest';
import { at } from './harness.ts';
import { put, remove } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

export function durabilityConformance(withWorld: WithWorld): void {
  test('state, tables, tasks, ops and lookups come back as they were', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable('first');
      await world.transaction(2, put(table, 'a', '1', { lookups: { ann: '[1]' } }), put(table, 'b', '2'));
      const second = await world.pendingTable('second', 3);
      await world.chunk(second, [put(second, 'c', '3')], { index: 2, cursor: 'c' });
      const picture = async () => ({
        state: await world.reader.checkpointState(),
        tables: await world.reader.tables(),
        // Whoever had them is dead.
        tasks: (await world.reader.tasks()).map((task) => ({ ...task, claimedBy: null })),
        rows: await world.rows('all', 100),
        lookups: await world.reader.lookups(100, ['ann']),
        sums: await world.reader.bucketSums(100, ['all']),
      });
      const before = await picture();
      await world.crash();
      expect(await picture()).toEqual(before);
    }));

  test('records come back: the next flush sees them', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1', { buckets: ['x'] }));
      await world.crash();
      await world.transaction(3, remove(table, 'a'), put(table, 'b', '1', { buckets: ['x'] }));
      expect(await world.rows('x')).toEqual({ b: '1' });
    }));

  test('op ids go on where they were', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.flush(2, put(table, 'a', '1'));
      await world.crash();
      expect(await world.flush(2, put(table, 'b', '1'))).toMatchObject({ headOp: 2 });
      await world.crash();
      const next = await world.writer.addTable(table.relation, [0]);
      expect(next.id).toBe(table.id + 1);
      expect((await world.writer.commit(at(2))).kind).toBe('blocked');
    }));
}
