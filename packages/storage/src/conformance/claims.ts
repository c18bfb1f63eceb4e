/** Tasks belong to one writer at a time: the stream's, or one that copies beside it. */
import { expect, test } from 'vitest';
import type { CopyWriter } from '../copy-writer.ts';
import { PackedRows } from '../packed-rows.ts';
import type { TableState, TaskRef } from '../table-state.ts';
import { at, type World } from './harness.ts';
import { compareToyRow, put } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

const HALVES = {
  kept: { range: ['kept'], rowsEstimate: 1, bytesEstimate: 10 },
  given: { range: ['given'], rowsEstimate: 1, bytesEstimate: 10 },
};

function taskOf({ id, generation }: TableState, index = 0): TaskRef {
  return { tableId: id, generation, index };
}

function copier({ storage, stream }: World, name = 'copier'): Promise<CopyWriter> {
  return storage.openCopyWriter(stream.id, name);
}

async function claimants({ reader }: World): Promise<readonly (string | null)[]> {
  return (await reader.tasks()).map(({ claimedBy }) => claimedBy);
}

export function claimConformance(withWorld: WithWorld): void {
  test('a task is given to one writer, until that one lets it go, and then from where it stands', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 2);
      const [first, second] = [await copier(world), await copier(world)];
      expect(first.claimant).not.toBe(second.claimant);
      expect(first.claimant).not.toBe(world.writer.claimant);
      expect(first.claimant).toContain('copier');
      expect(await first.claimTask(taskOf(table))).toMatchObject({ index: 0, claimedBy: first.claimant, cursor: null });
      expect(await second.claimTask(taskOf(table))).toBe(null);
      expect(await world.writer.claimTask(taskOf(table))).toBe(null);
      expect(await second.claimTask(taskOf(table, 1))).toMatchObject({ index: 1, claimedBy: second.claimant });
      expect(await claimants(world)).toEqual([first.claimant, second.claimant]);
      await world.chunkBy(first, table, [put(table, 'a', '1')], { cursor: 'a' });
      expect(await first.claimTask(taskOf(table))).toMatchObject({ cursor: 'a', claimedBy: first.claimant });
      await second.releaseTask(taskOf(table));
      expect(await claimants(world)).toEqual([first.claimant, second.claimant]);
      await first.releaseTask(taskOf(table));
      expect(await claimants(world)).toEqual([null, second.claimant]);
      expect(await world.writer.claimTask(taskOf(table))).toMatchObject({ cursor: 'a', rows: 1 });
    }));

  test('what is done, not there, or of another generation is not given', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 2);
      const own = await copier(world);
      await own.claimTask(taskOf(table));
      await world.chunkBy(own, table, [], { done: true });
      expect(await claimants(world)).toEqual([null, null]);
      for (const ref of [
        taskOf(table),
        taskOf(table, 7),
        { ...taskOf(table, 1), generation: 9 },
        { ...taskOf(table), tableId: 99 },
      ])
        expect(await own.claimTask(ref)).toBe(null);
      await own.releaseTask(taskOf(table, 7));
      await world.chunk(table, [], { index: 1, done: true });
      await world.writer.markTableSnapshotDone(table.id, table.generation, at(1));
      expect(await own.claimTask(taskOf(table, 1))).toBe(null);
    }));

  test('rows of a task are stored by whoever has it, and by nobody when it is done', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const [first, second] = [await copier(world), await copier(world)];
      await first.claimTask(taskOf(table));
      for (const other of [second, world.writer]) {
        expect(await world.chunkBy(other, table, [put(table, 'a', '1')])).toEqual({ kind: 'discarded' });
      }
      expect(await world.chunkBy(first, table, [put(table, 'b', '1')], { cursor: 'b' })).toMatchObject({ ops: 1 });
      expect(await world.chunkBy(first, table, [], { cursor: 'c', done: true })).toMatchObject({ kind: 'flushed' });
      for (const late of [first, second, world.writer]) {
        expect(await world.chunkBy(late, table, [put(table, 'a', '1')], { cursor: 'd' })).toEqual({
          kind: 'discarded',
        });
      }
      expect((await world.reader.tasks())[0]).toMatchObject({ cursor: 'c', state: 'done', rows: 1 });
    }));

  test('anybody may cut a task in two, and then nobody has it', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const [first, second] = [await copier(world), await copier(world)];
      await world.chunkBy(first, table, [put(table, 'a', '1')], { cursor: 'a' });
      const split = { ...taskOf(table), range: [0], cursor: 'a', ...HALVES };
      expect(await second.splitTask(split)).toBe(true);
      // Made for what the task was before.
      expect(await world.writer.splitTask(split)).toBe(false);
      expect(await claimants(world)).toEqual([null, null]);
      // What has been read meanwhile may be of the other part.
      const chunk = {
        rows: new PackedRows(table.id),
        guard: { tableId: table.id, generation: table.generation, truncateEpoch: table.truncateEpoch },
        progress: { index: 0, cursor: 'z', rows: 1, bytes: 1, done: true },
      };
      expect(await first.flushSnapshot(chunk)).toEqual({ kind: 'discarded' });
      expect(await first.claimTask(taskOf(table))).toMatchObject({ range: ['kept'], cursor: 'a', rows: 1 });
      expect(await second.claimTask(taskOf(table, 1))).toMatchObject({ range: ['given'], cursor: null, rows: 0 });
    }));

  test('what a closed or dead writer had is anybody’s', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 3);
      const [first, second] = [await copier(world), await copier(world)];
      await first.claimTask(taskOf(table, 0));
      await second.claimTask(taskOf(table, 1));
      await world.writer.claimTask(taskOf(table, 2));
      await first.close();
      expect(await claimants(world)).toEqual([null, second.claimant, world.writer.claimant]);
      await expect(world.chunkBy(first, table, [put(table, 'a', '1')])).rejects.toMatchObject({ code: 'SLU_R1108' });
      await expect(first.claimTask(taskOf(table))).rejects.toMatchObject({ code: 'SLU_R1108' });
      await world.crash();
      expect(await claimants(world)).toEqual([null, null, null]);
      const third = await copier(world);
      for (const index of [0, 1, 2]) expect(await third.claimTask(taskOf(table, index))).not.toBe(null);
      expect(await claimants(world)).toEqual([third.claimant, third.claimant, third.claimant]);
    }));

  test('copied rows of another writer are there for the next flush of the stream', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const own = await copier(world);
      await own.claimTask(taskOf(table));
      for (let round = 0; round < 20; round++) {
        const key = `${round}`;
        const copied = world.chunkBy(own, table, [put(table, key, 'old')], { cursor: key });
        const streamed = world.flush(round + 1, put(table, key, 'new', { buckets: ['changed'] }));
        await Promise.all([copied, streamed]);
      }
      await world.finishCopyBy(own, table, 21);
      await world.committed(21);
      expect(await world.rows('all')).toEqual({});
      expect(Object.values(await world.rows('changed'))).toEqual(Array.from({ length: 20 }, () => 'new'));
    }));

  test('rows that are compared with an older history are compared by another writer, too', () =>
    withWorld(async (world) => {
      const before = await world.pendingTable();
      await world.chunk(before, [put(before, 'same', '1'), put(before, 'changed', '1'), put(before, 'gone', '1')]);
      await world.finishCopy(before, 1);
      await world.committed(1);
      await world.writer.beginHistory({ slot: 'new' });
      const [table] = await world.reader.tables();
      if (table === undefined) throw new Error('the table is gone');
      await world.plan(table.id);
      const own = await copier(world);
      await own.claimTask(taskOf(table));
      const writes = [put(table, 'same', '1'), put(table, 'changed', '2')];
      const flush = (rows: typeof writes) =>
        own.flushSnapshot({
          rows: { writes: rows, evaluate: compareToyRow },
          guard: { tableId: table.id, generation: table.generation, truncateEpoch: table.truncateEpoch },
          progress: { index: 0, cursor: null, rows: rows.length, bytes: 1, done: false },
        });
      expect(await flush(writes)).toMatchObject({ kind: 'flushed', ops: 1 });
      await world.finishCopyBy(own, table, 2);
      await world.committed(2);
      expect(await world.rows('all')).toEqual({ same: '1', changed: '2' });
    }));
}
