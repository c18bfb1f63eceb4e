/** Tables that come while clients are being served: stored aside, then published in one step. */
import { expect, test } from 'vitest';
import { at, relationOf, type World } from './harness.ts';
import { put, remove } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

async function served(world: World): Promise<void> {
  const table = await world.copiedTable('served');
  await world.transaction(2, put(table, 's', '1'));
}

export function stagedTableConformance(withWorld: WithWorld): void {
  test('before the first checkpoint a table cannot be staged', () =>
    withWorld(async (world) => {
      const table = await world.writer.addTable(relationOf('early'), [0], 'staged');
      expect(table.visibility).toBe('shown');
      expect(await world.writer.commit(at(9))).toEqual({ kind: 'blocked', gate: 'snapshot' });
    }));

  test('checkpoints go on beside a staged table, copied or not, and show none of its rows', () =>
    withWorld(async (world) => {
      await served(world);
      const [first] = await world.reader.tables();
      const table = await world.writer.addTable(relationOf('new'), [0], 'staged');
      expect(table.visibility).toBe('staged');
      await world.plan(table.id);
      await world.chunk(table, [put(table, 'a', '1')]);
      await world.flush(3, put(table, 'b', '1', { lookups: { l: '[1]' } }), remove(table, 'c'));
      await world.committed(3);
      await world.chunk(table, [put(table, 'c', 'old')], { done: true });
      await world.writer.markTableSnapshotDone(table.id, table.generation, at(7));
      if (first !== undefined) await world.flush(4, put(first, 's', '2'));
      await world.crash();
      await world.committed(4);
      expect(await world.rows('all')).toEqual({ s: '2' });
      expect(await world.reader.lookups((await world.checkpoint()).opId, ['l'])).toEqual([[]]);
      expect(await world.writer.markAllSnapshotDone(at(4))).toEqual([]);
    }));

  test('it cannot be published before it is copied', () =>
    withWorld(async (world) => {
      await served(world);
      const table = await world.writer.addTable(relationOf('new'), [0], 'staged');
      await expect(world.publish(table.id)).rejects.toMatchObject({ code: 'SLU_T1204' });
    }));

  test('published in one transaction, with the gate open, behind the end of its copy', () =>
    withWorld(async (world) => {
      await served(world);
      const table = await world.stagedTable('new', 5);
      const lookups = { l: '[1]' };
      await world.transaction(3, put(table, 'a', '1'), put(table, 'b', '1', { lookups }), put(table, 'c', '1'));
      await world.transaction(4, remove(table, 'c'), put(table, 'a', '2'));
      expect(await world.publish(table.id)).toMatchObject({ next: null });
      expect((await world.reader.tables())[1]?.visibility).toBe('shown');
      expect(await world.writer.commit(at(4))).toEqual({ kind: 'blocked', gate: 'boundary' });
      await world.committed(5);
      expect(await world.rows('all')).toEqual({ a: '2', b: '1', s: '1' });
      expect(await world.reader.lookups((await world.checkpoint()).opId, ['l'])).toEqual([['[1]']]);
      expect(await world.publish(table.id)).toEqual({ next: null, ops: 0 });
    }));

  test('published in parts, nobody sees a part; a crash in between doubles and loses nothing', () =>
    withWorld(async (world) => {
      await served(world);
      const table = await world.stagedTable('new', 3);
      const rows = ['a', 'b', 'c', 'd', 'e'].map((key) => put(table, key, '1'));
      await world.transaction(4, ...rows);
      const first = await world.publish(table.id, 2);
      expect(first).toMatchObject({ ops: 2 });
      expect(first.next).not.toBeNull();
      await world.crash();
      expect(await world.writer.commit(at(9))).toEqual({ kind: 'blocked', gate: 'snapshot' });
      expect((await world.writer.markAllSnapshotDone(at(9))).map(({ id }) => id)).toEqual([table.id]);
      await world.flush(5, put(table, 'e', '2'), remove(table, 'd'), put(table, 'f', '1'));
      let ops = 0;
      let after = null;
      do {
        const part = await world.publish(table.id, 2, after);
        ops += part.ops;
        after = part.next;
      } while (after !== null);
      expect(ops).toBe(1);
      expect(await world.writer.markAllSnapshotDone(at(5))).toEqual([]);
      await world.committed(5);
      expect(await world.rows('all')).toEqual({ a: '1', b: '1', c: '1', e: '2', f: '1', s: '1' });
    }));

  test('erased while staged, it leaves no trace', () =>
    withWorld(async (world) => {
      await served(world);
      const table = await world.stagedTable('new', 3);
      await world.transaction(4, put(table, 'a', '1'));
      await world.erase(table.id, 5);
      await world.writer.removeTable(table.id);
      await world.committed(5);
      expect(await world.rows('all')).toEqual({ s: '1' });
      expect(await world.bodies('all', (await world.checkpoint()).opId)).toHaveLength(1);
    }));

  test('copied again, it stays staged', () =>
    withWorld(async (world) => {
      await served(world);
      const table = await world.stagedTable('new', 3);
      await world.transaction(4, put(table, 'a', '1'));
      const again = await world.writer.markTableSnapshotRequired(table.id);
      expect(again.visibility).toBe('staged');
      await expect(world.publish(table.id)).rejects.toMatchObject({ code: 'SLU_T1204' });
      await world.committed(5);
      expect(await world.rows('all')).toEqual({ s: '1' });
    }));
}
