/** Tables of a stream and the tasks that copy them: one document each. */
import { randomBytes } from 'node:crypto';
import { invariant, type StreamId, type TableId } from '@sluice/core';
import { BEFORE_CLAIMS, type TableState, type TaskState } from '@sluice/storage';
import { documentKey } from './keys.ts';
import { listDocuments, ParsedDocuments } from './parsed-documents.ts';
import { getDocument, putDocument, type Schema } from './schema.ts';

export function listTables(schema: Schema, stream: StreamId): TableState[] {
  const stamp = getDocument<string>(schema.documents, documentKey('tablesStamp', stream));
  const listing = { store: schema.documents, prefix: documentKey('table', stream), fill: filledTable };
  return listsOf(schema).get(stream, stamp, () => parsedOf(schema).list(listing));
}

/** In the transaction of every change. */
function stampTables(schema: Schema, stream: StreamId): void {
  putDocument(schema.documents, documentKey('tablesStamp', stream), listsOf(schema).nextStamp());
}

export function getTable({ documents }: Schema, stream: StreamId, id: TableId): TableState | undefined {
  const found = getDocument<TableState>(documents, documentKey('table', stream, id));
  return found === null ? undefined : filledTable(found);
}

/** Some were stored when none could be staged. */
function filledTable(stored: TableState): TableState {
  return { ...stored, visibility: stored.visibility ?? 'shown' };
}

export function requireTable(schema: Schema, stream: StreamId, id: TableId): TableState {
  const table = getTable(schema, stream, id);
  invariant(table !== undefined, `stream ${stream} has no table ${id}`);
  return table;
}

export function putTable(schema: Schema, stream: StreamId, table: TableState): void {
  stampTables(schema, stream);
  putDocument(schema.documents, documentKey('table', stream, table.id), table);
}

export function removeTable(schema: Schema, stream: StreamId, id: TableId): void {
  stampTables(schema, stream);
  removeTasks(schema, stream, id);
  schema.documents.removeSync(documentKey('table', stream, id));
  schema.documents.removeSync(documentKey('tableSpace', stream, id));
  schema.documents.removeSync(documentKey('indexJournal', stream, id));
}

/** Tasks of one table, or of all. */
export function listTasks(schema: Schema, stream: StreamId, table?: TableId): readonly TaskState[] {
  const listing = { store: schema.documents, fill: filledTask };
  if (table !== undefined) return listDocuments({ ...listing, prefix: documentKey('task', stream, table) });
  return parsedOf(schema).list({ ...listing, prefix: documentKey('task', stream) });
}

export function getTask({ documents }: Schema, stream: StreamId, table: TableId, index: number): TaskState | undefined {
  const found = getDocument<TaskState>(documents, documentKey('task', stream, table, index));
  return found === null ? undefined : filledTask(found);
}

function filledTask(stored: TaskState): TaskState {
  return { ...BEFORE_CLAIMS, ...stored };
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
  /** Of the record index; absent before format 3. */
  readonly indexPages?: number;
}

export function getTableSpace({ documents }: Schema, stream: StreamId, table: TableId): TableSpace {
  const found = getDocument<TableSpace>(documents, documentKey('tableSpace', stream, table));
  return found ?? { nextGroup: 0, indexDepth: 0, indexPages: 1 };
}

export function putTableSpace({ documents }: Schema, stream: StreamId, table: TableId, space: TableSpace): void {
  putDocument(documents, documentKey('tableSpace', stream, table), space);
}

/**
 * Lists of tables as they were read last. A copy looks at its tables whenever a task ends; with hundreds of them it would
 * do little else than parse their columns. Whoever changes a table leaves a stamp in the same transaction, and a list is
 * good as long as the stamp is the one it was read under. No stamp comes twice, not even of a transaction that was undone.
 */
class TableLists {
  readonly #opened = randomBytes(9).toString('base64url');
  readonly #lists = new Map<StreamId, { readonly stamp: string; readonly tables: readonly TableState[] }>();
  #stamps = 0;

  nextStamp(): string {
    return `${this.#opened}.${++this.#stamps}`;
  }

  /** @param stamp as it is stored; null for streams whose tables have not changed since stamps were introduced */
  get(stream: StreamId, stamp: string | null, read: () => readonly TableState[]): TableState[] {
    let list = this.#lists.get(stream);
    if (list === undefined || list.stamp !== stamp) {
      list = { stamp: stamp ?? '', tables: read() };
      if (stamp !== null) this.#lists.set(stream, list);
    }
    // With relations of their own: what somebody remembers for one must not be found for a later state of its table.
    return list.tables.map((table) => ({ ...table, relation: { ...table.relation } }));
  }
}

/** Of each open database. */
const lists = new WeakMap<Schema, TableLists>();
const parsed = new WeakMap<Schema, ParsedDocuments>();

function listsOf(schema: Schema): TableLists {
  let found = lists.get(schema);
  if (found === undefined) lists.set(schema, (found = new TableLists()));
  return found;
}

function parsedOf(schema: Schema): ParsedDocuments {
  let found = parsed.get(schema);
  if (found === undefined) parsed.set(schema, (found = new ParsedDocuments()));
  return found;
}
