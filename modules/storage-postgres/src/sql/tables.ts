/** Tables of a stream and the tasks that copy them: one document each. */
import { invariant, type StreamId, type TableId } from '@sluice/core';
import { BEFORE_CLAIMS, type TableState, type TaskState } from '@sluice/storage';
import { int4Array } from '../binary.ts';
import type { Names } from '../names.ts';
import type { Sql, Tx } from '../sql.ts';

interface Row {
  readonly document: string;
}

export class SourceTables {
  readonly #sql: Sql;
  protected readonly names: Names;
  protected readonly stream: StreamId;

  constructor(sql: Sql, names: Names, stream: StreamId) {
    this.#sql = sql;
    this.names = names;
    this.stream = stream;
  }

  async list(): Promise<TableState[]> {
    const rows = await this.#sql.rows<Row>(`select document from ${this.names.tables} where stream = $1 order by id`, [
      this.stream,
    ]);
    return rows.map(({ document }) => JSON.parse(document) as TableState);
  }

  async find(ids: readonly TableId[]): Promise<Map<TableId, TableState>> {
    const rows = await this.#sql.rows<Row>(
      `select document from ${this.names.tables} where stream = $1 and id = any($2::int4[])`,
      [this.stream, int4Array(ids)],
    );
    const tables = rows.map(({ document }) => JSON.parse(document) as TableState);
    return new Map(tables.map((table) => [table.id, table]));
  }

  async get(id: TableId): Promise<TableState | undefined> {
    return (await this.find([id])).get(id);
  }

  async require(id: TableId): Promise<TableState> {
    const table = await this.get(id);
    invariant(table !== undefined, `stream ${this.stream} has no table ${id}`);
    return table;
  }

  async tasks(): Promise<TaskState[]> {
    const rows = await this.#sql.rows<Row>(
      `select document from ${this.names.tasks} where stream = $1 order by stream, table_id, index`,
      [this.stream],
    );
    return rows.map(taskOf);
  }

  async tasksOf(table: TableId): Promise<TaskState[]> {
    const rows = await this.#sql.rows<Row>(
      `select document from ${this.names.tasks} where stream = $1 and table_id = $2 order by stream, table_id, index`,
      [this.stream, table],
    );
    return rows.map(taskOf);
  }

  async task(table: TableId, index: number): Promise<TaskState | undefined> {
    const [row] = await this.#sql.rows<Row>(
      `select document from ${this.names.tasks} where stream = $1 and table_id = $2 and index = $3`,
      [this.stream, table, index],
    );
    return row === undefined ? undefined : taskOf(row);
  }
}

function taskOf({ document }: Row): TaskState {
  return { ...BEFORE_CLAIMS, ...(JSON.parse(document) as TaskState) };
}

/** Inside a transaction. */
export class SourceTableWrites extends SourceTables {
  readonly #tx: Tx;

  constructor(sql: Tx, names: Names, stream: StreamId) {
    super(sql, names, stream);
    this.#tx = sql;
  }

  put(table: TableState): void {
    this.#tx.send(
      `insert into ${this.names.tables} (stream, id, document) values ($1, $2, $3)
       on conflict (stream, id) do update set document = excluded.document`,
      [this.stream, table.id, JSON.stringify(table)],
    );
  }

  remove(id: TableId): void {
    this.removeTasks(id);
    this.#tx.send(`delete from ${this.names.tables} where stream = $1 and id = $2`, [this.stream, id]);
  }

  putTasks(tasks: readonly TaskState[]): void {
    if (tasks.length === 0) return;
    this.#tx.send(
      `insert into ${this.names.tasks} (stream, table_id, index, document)
       select $1::int4, (t ->> 'tableId')::int4, (t ->> 'index')::int4, t::text from json_array_elements($2::json) t
       on conflict (stream, table_id, index) do update set document = excluded.document`,
      [this.stream, JSON.stringify(tasks)],
    );
  }

  removeTasks(table: TableId): void {
    this.#tx.send(`delete from ${this.names.tasks} where stream = $1 and table_id = $2`, [this.stream, table]);
  }
}
