/** The life of source rows: prior records, order inside a flush, tombstones, partial rows, moves. */
import { expect, test } from 'vitest';
import type { TableState } from '../table-state.ts';
import type { Evaluate } from '../row-write.ts';
import { at, type World } from './harness.ts';
import { decodeToyRow, evaluateToyRow, put, remove, type ToyWrite } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

async function partialKeys(world: World, table: number): Promise<string[]> {
  return (await world.reader.partialRecords(table, 10)).map(({ key }) => key).sort();
}

export function rowConformance(withWorld: WithWorld): void {
  test('a delete removes the row from each bucket it was in', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1', { buckets: ['x', 'y'] }));
      await world.transaction(3, remove(table, 'a'));
      expect(await world.rows('x')).toEqual({});
      expect(await world.rows('y')).toEqual({});
    }));

  test('rows of one flush see those before them', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'), remove(table, 'a'), put(table, 'a', '2'), put(table, 'b', '1'));
      expect(await world.rows('all')).toEqual({ a: '2', b: '1' });
      await world.transaction(3, remove(table, 'a'), put(table, 'b', '2', { buckets: ['other'] }));
      expect(await world.rows('all')).toEqual({});
      expect(await world.rows('other')).toEqual({ b: '2' });
    }));

  test('a deleted row can come back in a later flush', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'));
      await world.transaction(3, remove(table, 'a'));
      await world.transaction(4, put(table, 'a', '2'));
      expect(await world.rows('all')).toEqual({ a: '2' });
    }));

  test('a delete that is applied again emits nothing', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'));
      expect(await world.flush(3, remove(table, 'a'))).toMatchObject({ ops: 1 });
      expect(await world.flush(3, remove(table, 'a'))).toMatchObject({ ops: 0 });
    }));

  test('rows that swap their keys in one flush end right', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'), put(table, 'b', '2'));
      await world.transaction(
        3,
        { ...put(table, 'tmp', '1'), movedFrom: 'a' },
        remove(table, 'a'),
        { ...put(table, 'a', '2'), movedFrom: 'b' },
        remove(table, 'b'),
        { ...put(table, 'b', '1'), movedFrom: 'tmp' },
        remove(table, 'tmp'),
      );
      expect(await world.rows('all')).toEqual({ a: '2 from 2', b: '1 from 1 from 1' });
    }));

  test('moving a row loads the record under its old key, and does not end it', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'));
      await world.transaction(3, { ...put(table, 'b', '2'), movedFrom: 'a' });
      expect(await world.rows('all')).toEqual({ a: '1', b: '2 from 1' });
    }));

  test('a copied row does not replace what the stream has written', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.flush(2, put(table, 'a', 'streamed'));
      const result = await world.chunk(table, [put(table, 'a', 'copied'), put(table, 'b', 'copied')]);
      expect(result).toMatchObject({ kind: 'flushed', ops: 1 });
      await world.finishCopy(table, 3);
      await world.committed(3);
      expect(await world.rows('all')).toEqual({ a: 'streamed', b: 'copied' });
    }));

  test('a row that the stream deleted without knowing it stays away when a copy brings it', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.flush(2, remove(table, 'a'), remove(table, 'b'));
      await world.flush(2, put(table, 'b', 'again'), remove(table, 'b'));
      await world.crash();
      await world.chunk(table, [put(table, 'a', 'copied'), put(table, 'b', 'copied'), put(table, 'c', 'copied')]);
      await world.finishCopy(table, 3);
      await world.committed(3);
      expect(await world.rows('all')).toEqual({ c: 'copied' });
    }));

  test('a chunk that is flushed twice counts once', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const rows = ['a', 'b', 'c'].map((key) => put(table, key, '1'));
      expect(await world.chunk(table, rows)).toMatchObject({ kind: 'flushed', ops: 3 });
      expect(await world.chunk(table, rows)).toMatchObject({ kind: 'flushed', ops: 0 });
    }));

  test('of two copied rows with one key in one chunk the first counts', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.chunk(table, [put(table, 'a', 'first'), put(table, 'b', '1'), put(table, 'a', 'second')]);
      await world.finishCopy(table, 3);
      await world.committed(3);
      expect(await world.rows('all')).toEqual({ a: 'first', b: '1' });
    }));

  test('of chunks that are handed in at once each row counts once, and each task stands where its own ended', () =>
    withWorld(async (world) => {
      const one = await world.pendingTable('one', 3);
      const two = await world.pendingTable('two');
      await world.flush(2, put(one, 'streamed', 'by the stream'));
      const rows = (table: TableState, keys: string) =>
        keys.split('').map((key) => put(table, `${table.id}${key}`, key));
      const stale = { ...two, truncateEpoch: two.truncateEpoch + 1 };
      // Adapters may write those together that wait for their turn.
      const before = Array.from({ length: 30 }, () => world.writer.commit(at(2)));
      const [discarded, ...results] = await Promise.all([
        world.chunk(stale, rows(two, 'x')),
        world.chunk(one, [...rows(one, 'ab'), put(one, 'streamed', 'copied')], { index: 0, cursor: 'b', done: true }),
        world.chunk(one, rows(one, 'bc'), { index: 1, cursor: 'c', done: true }),
        world.chunk(one, rows(one, 'cd'), { index: 2, cursor: 'd' }),
        world.chunk(two, rows(two, 'ab'), { cursor: 'b', done: true }),
      ]);
      await Promise.all(before);
      expect(discarded).toEqual({ kind: 'discarded' });
      const ranges = results.flatMap((result) => (result.kind === 'flushed' ? [result] : []));
      const ends = ranges.toSorted((a, b) => a.headOp - b.headOp).map(({ headOp }) => headOp);
      expect(ends.at(-1)).toBe(1 + 6);
      expect(ranges.reduce((sum, { ops }) => sum + ops, 0)).toBe(6);
      for (const { headOp, ops } of ranges) expect([1, ...ends]).toContain(headOp - ops);
      const tasks = (await world.reader.tasks()).map(({ cursor, state }) => [cursor, state]);
      expect(tasks).toEqual([
        ['b', 'done'],
        ['c', 'done'],
        ['d', 'pending'],
        ['b', 'done'],
      ]);
      await world.chunk(one, [], { index: 2, done: true });
      for (const table of [one, two]) await world.writer.markTableSnapshotDone(table.id, table.generation, at(3));
      await world.writer.markAllSnapshotDone(at(3));
      await world.committed(3);
      const held = await world.rows('all');
      expect(Object.keys(held).toSorted()).toEqual(['1a', '1b', '1c', '1d', '2a', '2b', 'streamed']);
      expect(held['streamed']).toBe('by the stream');
    }));

  test('tombstones are kept until a checkpoint passed the copy, and then purged', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.flush(2, remove(table, 'a'), remove(table, 'b'), remove(table, 'c'));
      await world.finishCopy(table, 3);
      expect(await world.writer.purgeTombstones(10)).toEqual({ remaining: false });
      await world.committed(3);
      expect(await world.writer.purgeTombstones(2)).toEqual({ remaining: true });
      expect(await world.writer.purgeTombstones(2)).toEqual({ remaining: false });
      const required = await world.writer.markTableSnapshotRequired(table.id);
      await world.plan(table.id);
      expect(await world.chunk(required, [put(table, 'a', 'copied')])).toMatchObject({ ops: 1 });
    }));

  test('purging keeps tombstones that a copy can still need', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.flush(2, remove(table, 'a'));
      expect(await world.writer.purgeTombstones(10)).toEqual({ remaining: false });
      expect(await world.chunk(table, [put(table, 'a', 'copied')])).toMatchObject({ ops: 0 });
    }));

  test('partial rows are listed until they are completed or deleted', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.flush(
        2,
        ...['a', 'b', 'c'].map((key) => put(table, key, '?', { partial: true })),
        put(table, 'd', '1'),
      );
      expect(await partialKeys(world, table.id)).toEqual(['a', 'b', 'c']);
      expect(await world.reader.partialRecords(table.id, 2)).toHaveLength(2);
      await world.crash();
      const [first] = await world.reader.partialRecords(table.id, 1);
      expect(decodeToyRow(first?.record ?? new Uint8Array()).value).toBe('?');
      await world.flush(3, put(table, 'a', '1'), remove(table, 'b'));
      expect(await partialKeys(world, table.id)).toEqual(['c']);
      await world.transaction(4, put(table, 'c', '2'));
      expect(await partialKeys(world, table.id)).toEqual([]);
      expect(await world.rows('all')).toEqual({ a: '1', c: '2', d: '1' });
    }));

  test('copied partial rows are listed too', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.chunk(table, [put(table, 'a', '?', { partial: true }), put(table, 'b', '1')]);
      expect(await partialKeys(world, table.id)).toEqual(['a']);
    }));

  test('nothing is written where evaluation says so, and its throw undoes the flush', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'));
      const before = await world.reader.checkpointState();
      const writes: readonly ToyWrite[] = [put(table, 'a', '2')];
      await world.writer.flush({ writes, evaluate: () => null, boundary: at(2) });
      expect(await world.reader.checkpointState()).toEqual(before);
      const evaluate: Evaluate<ToyWrite> = (write, ...known) => {
        if (write.key === 'bad') throw new Error('bad row');
        return evaluateToyRow(write, ...known);
      };
      const failing = [put(table, 'good', '1'), put(table, 'bad', '1')];
      await expect(world.writer.flush({ writes: failing, evaluate, boundary: at(3) })).rejects.toThrow('bad row');
      expect(await world.reader.checkpointState()).toEqual(before);
    }));

  test('nothing is published behind a failed flush, not even by a commit that did not wait for it', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'));
      const evaluate = () => {
        throw new Error('bad row');
      };
      const failing = world.writer.flush({ writes: [put(table, 'b', '1')], evaluate, boundary: at(3) });
      const behind = world.writer.commit(at(3), { createEmpty: true });
      await expect(failing).rejects.toThrow('bad row');
      await expect(behind).rejects.toThrow('bad row');
      expect((await world.reader.checkpoint())?.position).toBe(at(2));
      await world.writer.close();
      world.writer = await world.storage.openWriter(world.stream.id, 'next');
      await world.transaction(3, put(table, 'b', '1'));
      expect(await world.rows('all')).toEqual({ a: '1', b: '1' });
    }));

  test('the evaluation is told the table as it is inside the transaction', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable('todos', 7);
      const seen: unknown[] = [];
      await world.writer.flush({
        writes: [put(table, 'a', '1')],
        evaluate: (write, prior, moved, state) => {
          seen.push(state.endPosition);
          return evaluateToyRow(write, prior, moved, state);
        },
        boundary: at(8),
      });
      expect(seen).toEqual([at(7)]);
    }));

  test('thousands of rows in one flush, keys of all kinds', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const keys = Array.from({ length: 3000 }, (_, i) => `${i % 7 === 0 ? 'é'.repeat(i % 100) : ''}${i}`);
      const big = 'x'.repeat(5000);
      await world.chunk(
        table,
        keys.map((key, i) => put(table, key, i % 50 === 0 ? big : '1')),
      );
      await world.flush(2, ...keys.filter((_, i) => i % 3 === 0).map((key) => remove(table, key)));
      await world.flush(2, ...keys.filter((_, i) => i % 3 === 1).map((key) => put(table, key, '2')));
      await world.finishCopy(table, 3);
      await world.committed(3);
      const rows = await world.rows('all');
      expect(Object.keys(rows)).toHaveLength(2000);
      expect(rows[keys[1] as string]).toBe('2');
      expect(rows[keys[50] as string]).toBe(big);
    }));
}
