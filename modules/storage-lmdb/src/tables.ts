/** Tables of a stream and the tasks that copy them: one document each. */
import { invariant, type StreamId, type TableId } from '@sluice/core';
import type { TableState, TaskState } from '@sluice/storage';
import { afterPrefix, documentKey } from './keys.ts';
import { getDocument, putDocument, type Schema } from './schema.ts';

export function listTables({ documents }: Schema, stream: StreamId): TableState[] {
  const start = documentKey('table', stream);
  const tables: TableState[] = [];
  for (const { value } of documents.getRange({ start, end: afterPrefix(start) })) {
    tables.push({ ...BEFORE_STAGING, ...(JSON.parse(value.toString()) as TableState) });
  }
  return tables;
}

export function getTable({ documents }: Schema, stream: StreamId, id: TableId): TableState | undefined {
  const found = getDocument<TableState>(documents, documentKey('table', stream, id));
  return found === null ? undefined : { ...BEFORE_STAGING, ...found };
}

/** Of tables that were stored when none could be staged. */
const BEFORE_STAGING = { visibility: 'shown' } as const;

export function requireTable(schema: Schema, stream: StreamId, id: TableId): TableState {
  const table = getTable(schema, stream, id);
  invariant(table !== undefined, `stream ${stream} has no table ${id}`);
  return table;
}

export function putTable({ documents }: Schema, stream: StreamId, table: TableState): void {
  putDocument(documents, documentKey('table', stream, table.id), table);
}

export function removeTable(schema: Schema, stream: StreamId, id: TableId): void {
  removeTasks(schema, stream, id);
  schema.documents.removeSync(documentKey('table', stream, id));
  schema.documents.removeSync(documentKey('tableSpace', stream, id));
}

/** Tasks of one table, or of all. */
export function listTasks({ documents }: Schema, stream: StreamId, table?: TableId): TaskState[] {
  const start = table === undefined ? documentKey('task', stream) : documentKey('task', stream, table);
  const tasks: TaskState[] = [];
  for (const { value } of documents.getRange({ start, end: afterPrefix(start) })) {
    tasks.push(JSON.parse(value.toString()) as TaskState);
  }
  return tasks;
}

export function requireTask(schema: Schema, stream: StreamId, table: TableId, index: number): TaskState {
  const task = getDocument<TaskState>(schema.documents, documentKey('task', stream, table, index));
  invariant(task !== null, `table ${table} of stream ${stream} has no task ${index}`);
  return task;
}

export function putTask({ documents }: Schema, stream: StreamId, task: TaskState): void {
  putDocument(documents, documentKey('task', stream, task.tableId, task.index), task);
}

export function removeTasks(schema: Schema, stream: StreamId, table: TableId): void {
  for (const task of listTasks(schema, stream, table)) {
    schema.documents.removeSync(documentKey('task', stream, table, task.index));
  }
}

/** What is remembered of where a table's records stand. */
export interface TableSpace {
  readonly nextGroup: number;
  /** Of the deepest page of its record index. */
  readonly indexDepth: number;
}

export function getTableSpace({ documents }: Schema, stream: StreamId, table: TableId): TableSpace {
  const found = getDocument<TableSpace>(documents, documentKey('tableSpace', stream, table));
  return found ?? { nextGroup: 0, indexDepth: 0 };
}

export function putTableSpace({ documents }: Schema, stream: StreamId, table: TableId, space: TableSpace): void {
  putDocument(documents, documentKey('tableSpace', stream, table), space);
}
