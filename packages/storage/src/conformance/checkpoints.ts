/** The gates, the frontier and the boundary, as the port's callers meet them. */
import { expect, test } from 'vitest';
import { at, opIdsOf } from './harness.ts';
import { put, remove } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

export function checkpointConformance(withWorld: WithWorld): void {
  test('a commit before the copy is done is blocked by the snapshot gate', () =>
    withWorld(async (world) => {
      await world.pendingTable();
      expect(await world.writer.commit(at(1), { createEmpty: true })).toEqual({ kind: 'blocked', gate: 'snapshot' });
      expect(await world.reader.checkpoint()).toBeNull();
    }));

  test('a commit below the end of the copy is blocked, at it is not', () =>
    withWorld(async (world) => {
      await world.copiedTable('todos', 3);
      expect(await world.writer.commit(at(2), { createEmpty: true })).toEqual({ kind: 'blocked', gate: 'boundary' });
      expect(await world.writer.commit(at(3))).toEqual({
        kind: 'created',
        checkpoint: { opId: 0, position: at(3) },
      });
    }));

  test('the first open commit makes a checkpoint even if empty ones are not asked for, the next one does not', () =>
    withWorld(async (world) => {
      await world.copiedTable('todos', 3);
      expect((await world.writer.commit(at(3), { createEmpty: false })).kind).toBe('created');
      expect(await world.writer.commit(at(4), { createEmpty: false })).toEqual({ kind: 'unchanged' });
      expect((await world.checkpoint()).position).toBe(at(3));
    }));

  test('an empty checkpoint moves the position and keeps the op', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.transaction(2, put(table, 'a', '1'));
      const second = await world.committed(5);
      expect(second).toEqual({ opId: first.opId, position: at(5) });
    }));

  test('a commit behind the checkpoint is blocked', () =>
    withWorld(async (world) => {
      await world.copiedTable();
      await world.committed(5);
      expect(await world.writer.commit(at(4), { createEmpty: true })).toEqual({ kind: 'blocked', gate: 'position' });
      expect((await world.checkpoint()).position).toBe(at(5));
    }));

  test('copied rows become part of the next checkpoint and force it to be made', () =>
    withWorld(async (world) => {
      await world.copiedTable('first');
      await world.committed(2);
      const second = await world.pendingTable('second');
      await world.chunk(second, [put(second, 'a', '1')], { done: true });
      await world.writer.markTableSnapshotDone(second.id, second.generation, at(3));
      expect(await world.writer.markAllSnapshotDone(at(3))).toEqual([]);
      const outcome = await world.writer.commit(at(4), { createEmpty: false });
      expect(outcome.kind).toBe('created');
      expect(await world.rows('all')).toEqual({ a: '1' });
    }));

  test('rows are not visible before a commit, and a crash does not lose them from the next one', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.transaction(2, put(table, 'a', '1'));
      await world.flush(3, put(table, 'b', '2'));
      expect(await world.checkpoint()).toEqual(first);
      await world.crash();
      expect(await world.writer.commit(at(2), { createEmpty: true })).toEqual({ kind: 'blocked', gate: 'boundary' });
      expect((await world.committed(3)).opId).toBeGreaterThan(first.opId);
      expect(await world.rows('all')).toEqual({ a: '1', b: '2' });
    }));

  test('the boundary of a flush without effects is kept as well', () =>
    withWorld(async (world) => {
      await world.copiedTable();
      await world.committed(2);
      await world.flush(9);
      expect(await world.writer.commit(at(8), { createEmpty: true })).toEqual({ kind: 'blocked', gate: 'boundary' });
    }));

  test('op ids start at 1 and rise in commit order over all buckets', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const first = await world.flush(2, put(table, 'a', '1', { buckets: ['x', 'y'] }));
      const second = await world.flush(2, put(table, 'b', '1', { buckets: ['y', 'x'] }));
      expect(first).toEqual({ kind: 'flushed', headOp: 2, ops: 2 });
      expect(second).toEqual({ kind: 'flushed', headOp: 4, ops: 2 });
      const { opId } = await world.committed(2);
      const chunks = await world.reader.readOps(
        opId,
        [
          { bucket: 'x', after: 0 },
          { bucket: 'y', after: 0 },
        ],
        { ops: 10, bytes: 1e6 },
      );
      expect(chunks.map((chunk) => [chunk.bucket, opIdsOf(chunk)])).toEqual([
        ['x', [1, 4]],
        ['y', [2, 3]],
      ]);
    }));

  test('a flush that writes row state only can be checkpointed', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      const result = await world.flush(2, put(table, 'a', '1', { buckets: [] }));
      expect(result).toEqual({ kind: 'flushed', headOp: 0, ops: 0 });
      expect((await world.committed(2)).opId).toBe(0);
    }));

  test('a new table closes the gate until it is copied', () =>
    withWorld(async (world) => {
      const first = await world.copiedTable('first');
      await world.transaction(2, put(first, 'a', '1'));
      const second = await world.pendingTable('second');
      await world.flush(3, put(first, 'b', '2'));
      expect(await world.writer.commit(at(3))).toEqual({ kind: 'blocked', gate: 'snapshot' });
      await world.finishCopy(second, 4);
      expect(await world.writer.commit(at(3))).toEqual({ kind: 'blocked', gate: 'boundary' });
      expect((await world.committed(4)).position).toBe(at(4));
    }));

  test('flushes of several writers at once lose nothing', () =>
    withWorld(async (world) => {
      const live = await world.copiedTable('live');
      const copied = await world.pendingTable('copied', 4);
      const copies = [0, 1, 2, 3].map((index) =>
        world.chunk(copied, [put(copied, `c${index}`, 'copied')], { index, done: true }),
      );
      const streamed = Array.from({ length: 8 }, (_, i) => world.flush(2 + i, put(live, `s${i}`, 'streamed')));
      const ended = world.flush(20, remove(live, 's0'));
      const results = await Promise.all([...copies, ...streamed, ended]);
      expect(results.every((result) => result.kind === 'flushed')).toBe(true);
      await world.writer.markTableSnapshotDone(copied.id, copied.generation, at(20));
      await world.writer.markAllSnapshotDone(at(20));
      await world.committed(20);
      expect(Object.keys(await world.rows('all'))).toEqual([
        'c0',
        'c1',
        'c2',
        'c3',
        's1',
        's2',
        's3',
        's4',
        's5',
        's6',
        's7',
      ]);
    }));

  test('watch yields the current checkpoint, then newer ones, and never goes back', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.committed(2);
      const abort = new AbortController();
      const seen: string[] = [];
      for await (const checkpoint of world.reader.watch(abort.signal)) {
        seen.push(checkpoint.position);
        if (seen.length === 1) await world.transaction(3, put(table, 'a', '1'));
        if (seen.length === 2) await world.committed(4);
        if (seen.length === 3) abort.abort();
      }
      expect(seen).toEqual([at(2), at(3), at(4)]);
    }));
}
