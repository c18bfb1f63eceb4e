import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialCheckpointState, newTable, newTask } from '@sluice/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { atomically } from './atomically.ts';
import { openSchema, type Schema } from './schema.ts';
import { listTables, listTasks, putTable, putTask, removeTable } from './tables.ts';

const STREAM = 1;
const columns = [{ name: 'id', typeId: 'int8', key: true }] as never;
const relation = { connectionTag: 'default', sourceId: '7', schema: 'public', name: 't', identity: 'default', columns };
const about = { id: 1, relation: relation as never, keyColumns: [0] };
const table = newTable(about, 'shown', initialCheckpointState);

let path: string;
let schema: Schema;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'sluice-lmdb-'));
  schema = openSchema(path, 2 ** 30);
});
afterEach(async () => {
  await schema.root.close();
  await rm(path, { recursive: true, force: true });
});

const names = () => listTables(schema, STREAM).map(({ relation: { name }, generation }) => `${name} ${generation}`);

test('a list is as new as its tables, inside a transaction and after one that was undone', async () => {
  await atomically(schema, () => putTable(schema, STREAM, table));
  expect(names()).toEqual(['t 1']);
  const undone = atomically(schema, () => {
    putTable(schema, STREAM, { ...table, generation: 2 });
    expect(names()).toEqual(['t 2']);
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  expect(names()).toEqual(['t 1']);
  await atomically(schema, () => putTable(schema, STREAM, { ...table, generation: 3 }));
  expect(names()).toEqual(['t 3']);
  await atomically(schema, () => putTable(schema, STREAM, { ...table, id: 2 }));
  expect(names()).toEqual(['t 3', 't 1']);
  await atomically(schema, () => removeTable(schema, STREAM, 1));
  expect(names()).toEqual(['t 1']);
  expect(listTables(schema, 2)).toEqual([]);
});

test('two lists share no relation: what is remembered for one is not found for the other', async () => {
  await atomically(schema, () => putTable(schema, STREAM, table));
  expect(listTables(schema, STREAM)[0]?.relation).not.toBe(listTables(schema, STREAM)[0]?.relation);
  expect(listTables(schema, STREAM)).toEqual([{ ...table, relation }]);
});

test('a list of tasks is as new as each of them', async () => {
  const task = newTask(1, { index: 0, range: [0], rowsEstimate: 1, bytesEstimate: 1 });
  const cursors = () => listTasks(schema, STREAM).map(({ index, cursor }) => `${index} ${JSON.stringify(cursor)}`);
  await atomically(schema, () => putTask(schema, STREAM, { ...task, index: 1 }));
  expect(cursors()).toEqual(['1 null']);
  await atomically(schema, () => putTask(schema, STREAM, task));
  expect(cursors()).toEqual(['0 null', '1 null']);
  const undone = atomically(schema, () => {
    putTask(schema, STREAM, { ...task, cursor: 'undone' });
    expect(cursors()).toEqual(['0 "undone"', '1 null']);
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  expect(cursors()).toEqual(['0 null', '1 null']);
  await atomically(schema, () => {
    putTask(schema, STREAM, { ...task, index: 1, cursor: 'new' });
    putTask(schema, STREAM, { ...task, tableId: 2 });
  });
  expect(cursors()).toEqual(['0 null', '1 "new"', '0 null']);
  await atomically(schema, () => removeTable(schema, STREAM, 1));
  expect(cursors()).toEqual(['0 null']);
});
