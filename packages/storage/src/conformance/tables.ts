/** Tables, tasks, guards, generations and epochs. */
import type { Column, Relation } from '@sluice/core';
import { expect, test } from 'vitest';
import { at, relationOf } from './harness.ts';
import { put } from './toy-rows.ts';
import type { WithWorld } from './with-world.ts';

/** A type in a type in a type, names that need care. */
const COLUMNS: readonly Column[] = [
  { name: 'id', type: 'int4', typeId: 23, typeModifier: -1, key: true },
  {
    name: 'ü "q"',
    type: '_pair',
    typeId: 4_294_967_295,
    typeModifier: 7,
    key: false,
    custom: {
      kind: 'array',
      delimiter: ',',
      element: {
        type: 'pair',
        typeId: 20_001,
        custom: {
          kind: 'composite',
          attributes: [
            { name: '', type: 'int4', typeId: 23 },
            { name: '__proto__', type: 'mood', typeId: 20_002, custom: { kind: 'enum' } },
          ],
        },
      },
    },
  },
];

const NOT_COPIED = { code: 'SLU_T1204' };

export function tableConformance(withWorld: WithWorld): void {
  test('a new table is pending and unplanned, with an id of its own', () =>
    withWorld(async (world) => {
      const first = await world.writer.addTable(relationOf('first'), [0, 2]);
      const second = await world.writer.addTable(relationOf('second'), [1]);
      expect(first).toMatchObject({
        keyColumns: [0, 2],
        truncateEpoch: 0,
        snapshot: 'pending',
        endPosition: null,
        planned: false,
      });
      expect(second.id).not.toBe(first.id);
      expect(await world.reader.tables()).toEqual([first, second]);
    }));

  test('a relation is stored as it was given, with what its types are made of, and outlives a crash', () =>
    withWorld(async (world) => {
      const relation: Relation = { ...relationOf('typed'), columns: COLUMNS };
      const table = await world.writer.addTable(relation, [0]);
      expect(table.relation).toEqual(relation);
      await world.crash();
      expect((await world.reader.tables()).map((stored) => stored.relation)).toEqual([relation]);
    }));

  test('a plan is stored once', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 2);
      expect((await world.reader.tables())[0]?.planned).toBe(true);
      expect(await world.reader.tasks()).toEqual([
        {
          tableId: table.id,
          index: 0,
          range: [0],
          cursor: null,
          state: 'pending',
          rows: 0,
          bytes: 0,
          rowsEstimate: 10,
          bytesEstimate: 100,
        },
        {
          tableId: table.id,
          index: 1,
          range: [1],
          cursor: null,
          state: 'pending',
          rows: 0,
          bytes: 0,
          rowsEstimate: 10,
          bytesEstimate: 100,
        },
      ]);
      await expect(world.plan(table.id)).rejects.toThrow();
      expect(await world.reader.tasks()).toHaveLength(2);
    }));

  test('progress is stored with the rows of its chunk, and outlives a crash', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 2);
      await world.chunk(table, [put(table, 'a', '1'), put(table, 'b', '1')], { index: 1, cursor: 'b' });
      await world.chunk(table, [put(table, 'c', '1')], { index: 1, cursor: 'c', done: true });
      await world.crash();
      const [first, second] = await world.reader.tasks();
      expect(first).toMatchObject({ state: 'pending', cursor: null, rows: 0, bytes: 0 });
      expect(second).toMatchObject({ state: 'done', cursor: 'c', rows: 3, bytes: 30 });
    }));

  test('a table is done only when all its tasks are', () =>
    withWorld(async (world) => {
      const unplanned = await world.writer.addTable(relationOf('unplanned'), [0]);
      const done = (id: number) => world.writer.markTableSnapshotDone(id, 1, at(5));
      await expect(done(unplanned.id)).rejects.toMatchObject(NOT_COPIED);
      const table = await world.pendingTable('todos', 2);
      await world.chunk(table, [], { index: 0, done: true });
      await expect(done(table.id)).rejects.toMatchObject(NOT_COPIED);
      await world.chunk(table, [], { index: 1, done: true });
      await expect(world.writer.markTableSnapshotDone(table.id, 2, at(5))).rejects.toMatchObject(NOT_COPIED);
      await done(table.id);
      const found = (await world.reader.tables()).find(({ id }) => id === table.id);
      expect(found).toMatchObject({ snapshot: 'done', endPosition: at(5) });
    }));

  test('the gate opens only when no table is pending, and says which are', () =>
    withWorld(async (world) => {
      const first = await world.pendingTable('first');
      const second = await world.pendingTable('second');
      await world.finishCopy(first, 2);
      const pending = await world.writer.markAllSnapshotDone(at(2));
      expect(pending.map((table) => table.relation.name)).toEqual(['second']);
      expect((await world.reader.checkpointState()).snapshotDone).toBe(false);
      await world.finishCopy(second, 3);
      expect((await world.reader.checkpointState()).snapshotDone).toBe(true);
    }));

  test('with no tables at all the gate opens', () =>
    withWorld(async (world) => {
      expect(await world.writer.markAllSnapshotDone(at(1))).toEqual([]);
      expect((await world.committed(1)).opId).toBe(0);
    }));

  test('chunks of another generation, of a done table or of an unknown one are discarded', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const required = await world.writer.markTableSnapshotRequired(table.id);
      expect(required.generation).toBe(table.generation + 1);
      expect(await world.reader.tasks()).toEqual([]);
      await world.plan(table.id);
      const head = (await world.reader.checkpointState()).headOp;
      expect(await world.chunk(table, [put(table, 'a', '1')])).toEqual({ kind: 'discarded' });
      expect(await world.chunk({ ...required, id: 999 }, [])).toEqual({ kind: 'discarded' });
      await world.finishCopy(required, 2);
      expect(await world.chunk(required, [put(table, 'a', '1')])).toEqual({ kind: 'discarded' });
      expect((await world.reader.checkpointState()).headOp).toBe(head);
      expect((await world.reader.tasks())[0]).toMatchObject({ rows: 0, state: 'done' });
    }));

  test('erasing raises the epoch, discards chunks in flight and goes on until nothing is left', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      const rows = ['a', 'b', 'c', 'd', 'e'].map((key) => put(table, key, '1'));
      await world.chunk(table, rows.slice(0, 4));
      expect(await world.erase(table.id, 3, 3)).toEqual({ remaining: true, erased: 3 });
      expect(await world.chunk(table, rows)).toEqual({ kind: 'discarded' });
      expect(await world.erase(table.id, 3, 3)).toEqual({ remaining: false, erased: 1 });
      const [erased] = await world.reader.tables();
      expect(erased?.truncateEpoch).toBeGreaterThan(table.truncateEpoch);
      if (erased === undefined) return;
      await world.finishCopy(erased, 4);
      await world.committed(4);
      expect(await world.rows('all')).toEqual({});
    }));

  test('erasing holds the checkpoint back like a flush', () =>
    withWorld(async (world) => {
      const table = await world.copiedTable();
      await world.transaction(2, put(table, 'a', '1'), put(table, 'b', '1'));
      await world.erase(table.id, 5, 1);
      await world.crash();
      expect(await world.writer.commit(at(4))).toEqual({ kind: 'blocked', gate: 'boundary' });
      await world.erase(table.id, 5, 1);
      await world.committed(5);
      expect(await world.rows('all')).toEqual({});
    }));

  test('a table is removed with its tasks, but not while it has live records', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable();
      await world.chunk(table, [put(table, 'a', '1')]);
      await expect(world.writer.removeTable(table.id)).rejects.toThrow();
      await world.erase(table.id, 2);
      await world.writer.removeTable(table.id);
      expect(await world.reader.tables()).toEqual([]);
      expect(await world.reader.tasks()).toEqual([]);
      const next = await world.writer.addTable(relationOf('todos'), [0]);
      expect(next.id).not.toBe(table.id);
      expect(await world.reader.partialRecords(next.id, 10)).toEqual([]);
    }));

  test('the same key in two tables is two rows', () =>
    withWorld(async (world) => {
      const first = await world.copiedTable('first');
      const second = await world.copiedTable('second', 2);
      await world.transaction(3, put(first, 'a', '1', { buckets: ['x'] }), put(second, 'a', '2', { buckets: ['y'] }));
      await world.erase(first.id, 4);
      await world.committed(4);
      expect(await world.rows('x')).toEqual({});
      expect(await world.rows('y')).toEqual({ a: '2' });
    }));
}
