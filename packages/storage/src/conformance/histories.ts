/** A history that the stream could not follow: what older records still say, what is told, and what is swept. */
import { invariant } from '@sluice/core';
import { expect, test } from 'vitest';
import type { TableState } from '../table-state.ts';
import { at, PLAN, relationOf, type World } from './harness.ts';
import { put, remove } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

/** A table with rows a to e, its history lost, and planned again. */
async function lost(world: World): Promise<TableState> {
  const table = await world.copiedTable();
  await world.transaction(2, ...['a', 'b', 'c', 'd', 'e'].map((key) => put(table, key, '1')));
  const [after] = await world.loseHistory();
  invariant(after !== undefined, 'the table is gone');
  await world.plan(after.id);
  return { ...after, plan: PLAN };
}

export function historyConformance(withWorld: WithWorld): void {
  test('all tables are to be copied and compared, the gate closes, the source is kept: at once', () =>
    withWorld(async (world) => {
      const first = await world.copiedTable('first');
      await world.pendingTable('second');
      await world.writer.saveSourceState({ slot: 'old' });
      await world.writer.beginHistory({ slot: 'new' });
      await world.crash();
      const tables = await world.reader.tables();
      expect(tables.map(({ history, unconfirmed, snapshot, plan }) => [history, unconfirmed, snapshot, plan])).toEqual([
        [2, true, 'pending', null],
        [2, true, 'pending', null],
      ]);
      expect(tables[0]?.generation).toBeGreaterThan(first.generation);
      expect(await world.reader.tasks()).toEqual([]);
      expect((await world.reader.checkpointState()).snapshotDone).toBe(false);
      expect((await world.storage.listStreams())[0]?.source).toEqual({ slot: 'new' });
      expect(await world.writer.addTable(relationOf('third'), [0])).toMatchObject({ history: 1, unconfirmed: false });
    }));

  test('a copy is told older records, and only the difference becomes ops', () =>
    withWorld(async (world) => {
      const table = await lost(world);
      const rows = [put(table, 'a', '1'), put(table, 'b', '2'), put(table, 'new', '1'), put(table, 'a', 'again')];
      expect(await world.chunk(table, rows)).toMatchObject({ kind: 'flushed', ops: 2 });
      expect(await world.chunk(table, rows)).toMatchObject({ kind: 'flushed', ops: 0 });
    }));

  test('a table that has more columns is read and compared again; tombstones of before count no more', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable('todos', 7);
      await world.flush(8, put(table, 'a', '1'), put(table, 'b', '1'), put(table, 'gone', '1'), remove(table, 'gone'));
      const relation = {
        ...table.relation,
        columns: [{ name: 'new', type: 'text', typeId: 25, typeModifier: -1, key: false }],
      };
      const wider = await world.writer.markTableSnapshotRequired(table.id, relation);
      expect(wider).toMatchObject({ relation, snapshot: 'pending', unconfirmed: true, history: table.history + 1 });
      expect((await world.reader.checkpointState()).snapshotDone).toBe(false);
      await world.crash();
      await world.plan(wider.id);
      const rows = [put(table, 'a', '1'), put(table, 'b', '2'), put(table, 'gone', 'back')];
      expect(await world.chunk(wider, rows, { done: true })).toMatchObject({ kind: 'flushed', ops: 2 });
    }));

  test('what was not met is swept, each row once; what was met or streamed stays', () =>
    withWorld(async (world) => {
      const table = await lost(world);
      const before = await world.checkpoint();
      await world.flush(3, put(table, 'c', 'streamed'), remove(table, 'd'));
      await world.chunk(table, [put(table, 'a', '1')], { done: true });
      await world.crash();
      expect(await world.sweep(table)).toBe(2);
      expect(await world.sweep(table)).toBe(0);
      await world.writer.markTableSnapshotDone(table.id, table.generation, at(4));
      await world.writer.markAllSnapshotDone(at(4));
      expect(await world.rows('all', before.opId)).toEqual({ a: '1', b: '1', c: '1', d: '1', e: '1' });
      const { opId } = await world.committed(4);
      expect(await world.rows('all')).toEqual({ a: '1', c: 'streamed' });
      expect(await world.bodies('all', opId, before.opId)).toHaveLength(4);
    }));

  test('nothing is swept before every row has been read, nor for another generation', () =>
    withWorld(async (world) => {
      const table = await lost(world);
      expect(await world.sweep(table)).toBeNull();
      await world.chunk(table, [], { done: true });
      expect(await world.sweep({ ...table, generation: table.generation - 1 })).toBeNull();
      const required = await world.writer.markTableSnapshotRequired(table.id);
      expect(required).toMatchObject({ history: 2, unconfirmed: true });
      expect(await world.sweep(table)).toBeNull();
      expect(await world.sweep(required)).toBeNull();
    }));

  test('a table is not done before it is swept, to the end', () =>
    withWorld(async (world) => {
      const table = await lost(world);
      await world.chunk(table, [put(table, 'a', '1')], { done: true });
      const done = () => world.writer.markTableSnapshotDone(table.id, table.generation, at(4));
      await expect(done()).rejects.toMatchObject({ code: 'SLU_T1204' });
      await world.sweep(table);
      expect((await world.reader.tables())[0]).toMatchObject({ history: 2, unconfirmed: false });
      await done();
    }));

  test('tombstones of the old history are dropped, so that rows that came back are copied', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.flush(2, ...['a', 'b', 'c'].map((key) => remove(table, key)));
      expect(await world.writer.dropTombstones(2)).toEqual({ remaining: true });
      expect(await world.writer.dropTombstones(2)).toEqual({ remaining: false });
      await world.writer.beginHistory('next');
      const [after] = await world.reader.tables();
      invariant(after !== undefined, 'the table is gone');
      await world.plan(after.id);
      expect(await world.chunk(after, [put(after, 'a', '1')])).toMatchObject({ ops: 1 });
    }));

  test('a widened table forgets its tombstones, and no other does', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const other = await world.pendingTable('other');
      await world.flush(2, ...['a', 'b'].map((key) => remove(table, key)), remove(other, 'a'));
      const wider = await world.writer.markTableSnapshotRequired(table.id, table.relation);
      await world.plan(wider.id);
      expect(await world.chunk(wider, [put(table, 'a', '1'), put(table, 'b', '1')])).toMatchObject({ ops: 2 });
      expect(await world.chunk(other, [put(other, 'a', '1')])).toMatchObject({ ops: 0 });
    }));

  test('tombstones of the new history count', () =>
    withWorld(async (world) => {
      const table = await lost(world);
      await world.flush(3, remove(table, 'a'), remove(table, 'unknown'));
      expect(await world.chunk(table, [put(table, 'a', '1'), put(table, 'unknown', '1')])).toMatchObject({ ops: 0 });
    }));

  test('swept rows leave no tombstone: a later copy may bring them', () =>
    withWorld(async (world) => {
      const table = await lost(world);
      await world.chunk(table, [], { done: true });
      expect(await world.sweep(table)).toBe(5);
      const required = await world.writer.markTableSnapshotRequired(table.id);
      await world.plan(table.id);
      expect(await world.chunk(required, [put(table, 'a', '2')])).toMatchObject({ ops: 1 });
    }));

  test('a chunk of before is discarded', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.loseHistory();
      expect(await world.chunk(table, [put(table, 'a', '1')])).toEqual({ kind: 'discarded' });
    }));
}
