/** What transactions do to tables and tasks: the law's functions, between a read and a write. */
import { invariant, type Position, type Relation, type TableId } from '@sluice/core';
import {
  advance,
  afterCopy,
  copyDone,
  copyRequired,
  historyLost,
  holdsCheckpoints,
  isRead,
  newTable,
  newTask,
  notCopied,
  type PlannedRange,
  type PlannedTable,
  type TablePlan,
  tablePlanned,
  type TableState,
  type TableVisibility,
  whileCopying,
} from '@sluice/storage';
import type { Names } from './names.ts';
import type { Done } from './fencing/session.ts';
import type { Tx } from './sql.ts';
import type { SourceTableWrites } from './sql/tables.ts';
import type { StateRow } from './state-row.ts';

/** Inside a transaction that has locked `row`. */
export interface Within {
  readonly sql: Tx;
  readonly row: StateRow;
  readonly tables: SourceTableWrites;
  /** The stream's own. */
  readonly own: ReturnType<Names['of']>;
}

export interface NewTable {
  readonly relation: Relation;
  readonly keyColumns: readonly number[];
  readonly visibility: Exclude<TableVisibility, 'publishing'>;
}

export async function addTable(
  { tables, row }: Within,
  { relation, keyColumns, visibility }: NewTable,
): Promise<Done<TableState>> {
  const counters = { ...row.counters, tables: row.counters.tables + 1 };
  const table = newTable({ id: counters.tables, relation, keyColumns }, visibility, row.state);
  tables.put(table);
  return { value: table, next: { state: whileCopying(row.state, table), counters } };
}

export async function removeTable({ tables, row, sql, own }: Within, tableId: TableId): Promise<Done<void>> {
  const live = `select 1 from ${own.records} where table_id = $1 and flags <> 2 limit 1`;
  invariant((await sql.rows(live, [tableId])).length === 0, `table ${tableId} still has live records`);
  sql.send(`delete from ${own.records} where table_id = $1`, [tableId]);
  tables.remove(tableId);
  return { value: undefined, next: row };
}

export async function planTable(
  { tables, row }: Within,
  {
    table,
    plan,
    tasks,
  }: { readonly table: PlannedTable; readonly plan: TablePlan; readonly tasks: readonly PlannedRange[] },
): Promise<Done<boolean>> {
  const planned = tablePlanned(await tables.get(table.id), table, plan);
  if (planned === null) return { value: false };
  tables.put(planned);
  tables.putTasks(tasks.map((task) => newTask(table.id, task)));
  return { value: true, next: row };
}

export async function markTableDone(
  { tables, row }: Within,
  {
    tableId,
    generation,
    position,
  }: { readonly tableId: TableId; readonly generation: number; readonly position: Position },
): Promise<Done<void>> {
  const table = await tables.require(tableId);
  if (!isRead(table, generation, await tables.tasksOf(tableId)) || table.unconfirmed) throw notCopied(table);
  tables.put(copyDone(table, position));
  return { value: undefined, next: { ...row, state: afterCopy(row.state, table, position) } };
}

export async function markTableRequired(
  { tables, row }: Within,
  tableId: TableId,
  widened?: Relation,
): Promise<Done<TableState>> {
  const table = copyRequired(await tables.require(tableId), widened);
  tables.put(table);
  tables.removeTasks(tableId);
  return { value: table, next: { ...row, state: whileCopying(row.state, table) } };
}

export async function markAllDone({ tables, row }: Within, position: Position): Promise<Done<readonly TableState[]>> {
  const pending = (await tables.list()).filter(holdsCheckpoints);
  if (pending.length > 0) return { value: pending };
  const state = advance(row.state, { kind: 'allSnapshotsDone', position });
  return { value: pending, next: { ...row, state } };
}

export async function loseHistory({ tables, row }: Within): Promise<Done<void>> {
  for (const table of await tables.list()) {
    tables.put(historyLost(table));
    tables.removeTasks(table.id);
  }
  return { value: undefined, next: { ...row, state: advance(row.state, { kind: 'tableSnapshotRequired' }) } };
}
