/** Tables, tasks, guards, generations and epochs. */
import type { Column, Relation } from '@sluice/core';
import { expect, test } from 'vitest';
import { PackedRows } from '../packed-rows.ts';
import { at, PLAN, relationOf } from './harness.ts';
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

/** Its keys are not in the order in which every storage keeps them. */
const HALVES = {
  kept: { range: { b: 1, a: [0, 1] }, rowsEstimate: 6, bytesEstimate: 60 },
  given: { range: ['rest'], rowsEstimate: 4, bytesEstimate: 40 },
};

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
        plan: null,
        visibility: 'shown',
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
      expect((await world.reader.tables())[0]?.plan).toEqual(PLAN);
      expect(await world.reader.tasks()).toEqual([
        {
          tableId: table.id,
          index: 0,
          range: [0],
          cursor: null,
          state: 'pending',
          claimedBy: null,
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
          claimedBy: null,
          rows: 0,
          bytes: 0,
          rowsEstimate: 10,
          bytesEstimate: 100,
        },
      ]);
      await expect(world.plan(table.id)).rejects.toThrow();
      expect(await world.reader.tasks()).toHaveLength(2);
    }));

  test('a plan of another generation, or of a table that is gone, is not stored', () =>
    withWorld(async (world) => {
      const table = await world.writer.addTable(relationOf('todos'), [0]);
      const next = await world.writer.markTableSnapshotRequired(table.id);
      const tasks = [{ index: 0, range: [0], rowsEstimate: 1, bytesEstimate: 1 }];
      expect(await world.writer.planTable(table, PLAN, tasks)).toBe(false);
      expect(await world.reader.tasks()).toEqual([]);
      expect((await world.reader.tables())[0]?.plan).toBe(null);
      expect(await world.writer.planTable(next, PLAN, tasks)).toBe(true);
      expect(await world.reader.tasks()).toHaveLength(1);
      await world.writer.removeTable(table.id);
      expect(await world.writer.planTable(next, PLAN, tasks)).toBe(false);
      expect(await world.reader.tasks()).toEqual([]);
    }));

  test('a task that is not done is split where it stands, and its rest becomes a new task', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 2);
      await world.chunk(table, [put(table, 'a', '1')], { index: 0, cursor: 'a' });
      const split = { tableId: table.id, generation: table.generation, index: 0, range: [0], cursor: 'a', ...HALVES };
      expect(await world.writer.splitTask(split)).toBe(true);
      await world.crash();
      expect(await world.reader.tasks()).toMatchObject([
        { index: 0, range: { b: 1, a: [0, 1] }, cursor: 'a', state: 'pending', rows: 1, rowsEstimate: 6 },
        { index: 1, range: [1], cursor: null },
        { index: 2, range: ['rest'], cursor: null, state: 'pending', rows: 0, bytes: 0, rowsEstimate: 4 },
      ]);
      await world.chunk(table, [], { index: 0, cursor: 'b', done: true });
      await world.chunk(table, [], { index: 1, done: true });
      const done = world.writer.markTableSnapshotDone(table.id, table.generation, at(5));
      await expect(done).rejects.toMatchObject(NOT_COPIED);
      await world.chunk(table, [], { index: 2, done: true });
      await world.writer.markTableSnapshotDone(table.id, table.generation, at(5));
    }));

  test('a task is not split that has moved on, is done, is not there, or is of another generation', () =>
    withWorld(async (world) => {
      const table = await world.pendingTable('todos', 2);
      const cursor = { at: [1, null, 'é'], to: { z: true, y: '1' } };
      const same = { to: { y: '1', z: true }, at: [1, null, 'é'] };
      const split = { tableId: table.id, generation: table.generation, index: 0, range: [0], cursor, ...HALVES };
      expect(await world.writer.splitTask(split)).toBe(false);
      await world.writer.claimTask({ tableId: table.id, generation: table.generation, index: 0 });
      await world.writer.flushSnapshot({
        rows: new PackedRows(table.id),
        guard: { tableId: table.id, generation: table.generation, truncateEpoch: table.truncateEpoch },
        progress: { index: 0, cursor: same, rows: 0, bytes: 0, done: false },
      });
      await world.chunk(table, [], { index: 1, cursor: 'c', done: true });
      const before = await world.reader.tasks();
      for (const change of [
        { cursor: null },
        { range: [1] },
        { cursor: { ...cursor, at: [1, null] } },
        { index: 1, cursor: 'c' },
        { index: 7 },
        { generation: table.generation + 1 },
        { tableId: table.id + 1 },
      ])
        expect(await world.writer.splitTask({ ...split, ...change })).toBe(false);
      expect(await world.reader.tasks()).toEqual(before);
      expect(await world.writer.splitTask(split)).toBe(true);
    }));

  test('what is said of the copy is stored without a lease, and outlives a crash', () =>
    withWorld(async (world) => {
      expect(await world.reader.snapshotControl()).toEqual({
        concurrency: null,
        paused: false,
        compare: false,
        tables: {},
      });
      const hold = { kind: 'quarantined', atMs: 7, tableId: 1, code: 'SLU_S1125', message: 'é' } as const;
      const changes = [
        { kind: 'concurrency', value: 3 },
        { kind: 'pauseAll' },
        { kind: 'compare', wanted: true },
        { kind: 'hold', table: 'public.todos', hold },
        { kind: 'priority', table: 'public.__proto__', priority: -2 },
      ] as const;
      const said = await world.storage.controlSnapshot(world.stream.id, changes);
      expect(said).toEqual({
        concurrency: 3,
        paused: true,
        compare: true,
        tables: { 'public.todos': { hold, priority: 0 }, 'public.__proto__': { hold: null, priority: -2 } },
      });
      await world.crash();
      expect(await world.reader.snapshotControl()).toEqual(said);
      const changed = [{ kind: 'resumeAll' }, { kind: 'compare', wanted: false }] as const;
      await world.storage.controlSnapshot(world.stream.id, changed);
      expect(await world.reader.snapshotControl()).toEqual({
        concurrency: 3,
        paused: false,
        compare: false,
        tables: { 'public.__proto__': { hold: null, priority: -2 } },
      });
      const other = await world.storage.createStream('others', 2);
      expect((await world.storage.reader(other.id).snapshotControl()).concurrency).toBe(null);
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
