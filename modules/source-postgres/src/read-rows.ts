/** Reads single rows by key, as they are now. */
import { type Column, invariant, type RawRow, type Relation } from '@sluice/core';
import type { Database } from './database.ts';
import { qualifiedName, quoteName } from './quote.ts';
import { rowFilterSql } from './row-filter.ts';

/** Keeps the planner on the index, and far below the 65,535 parameters of one statement. */
const ROWS_PER_STATEMENT = 200;
const PARAMETERS_MAX = 30_000;

/** Rows of another table that has the name by now, and rows that the publication leaves out, are not there. */
export async function readRows(
  { database, publication }: { readonly database: Database; readonly publication: string },
  relation: Relation,
  wanted: { readonly keyColumns: readonly number[]; readonly rows: readonly RawRow[] },
): Promise<readonly RawRow[]> {
  const { keyColumns, rows } = wanted;
  invariant(keyColumns.length > 0, 'rows are read by key, and there is no key column');
  const step = Math.max(1, Math.min(ROWS_PER_STATEMENT, Math.floor(PARAMETERS_MAX / keyColumns.length)));
  const found: RawRow[] = [];
  if (rows.length === 0) return found;
  const { sourceId, schema, name } = relation;
  const version = await database.serverVersion();
  const [table] = await database.rows(tableSql(version), [sourceId, schema, name, publication]);
  if (table === undefined) return found;
  const [filter] = table;
  const guard = `tableoid = ${Number(sourceId)}`;
  const condition = typeof filter === 'string' ? `${guard} and (${filter})` : guard;
  for (let from = 0; from < rows.length; from += step) {
    const { sql, values } = keyQuery(relation, { keyColumns, condition }, rows.slice(from, from + step));
    found.push(...(await database.tableRows(sql, values)));
  }
  return found;
}

function tableSql(version: number): string {
  return `select ${rowFilterSql(version, '$4')} from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = $1 and n.nspname = $2 and c.relname = $3`;
}

function keyQuery(
  relation: Relation,
  { keyColumns, condition }: { readonly keyColumns: readonly number[]; readonly condition: string },
  rows: readonly RawRow[],
): { sql: string; values: string[] } {
  const values: string[] = [];
  const keys = keyColumns.map((index) => relation.columns[index]);
  // A key of a unique index can be compared by its type. Any row at all may be the key under FULL: then there may be
  // nulls and types that have no equality, and the text decides.
  const byText = relation.replicaIdentity === 'full' && keyColumns.length === relation.columns.length;
  const conditions = rows.map((row) => {
    const parts = keyColumns.map((index, i) => {
      const { name, custom } = keys[i] as Column;
      const column = quoteName(name);
      const value = row[index];
      invariant(value !== undefined, 'a row to be read has a gap in its key');
      if (value === null) return `${column} is null`;
      values.push(value);
      // A parameter beside a composite value is taken for an anonymous record, which has no input.
      return byText || custom?.kind === 'composite'
        ? `${column}::text = $${values.length}`
        : `${column} = $${values.length}`;
    });
    return `(${parts.join(' and ')})`;
  });
  const columns = relation.columns.map((column) => quoteName(column.name)).join(', ');
  return {
    sql: `select ${columns} from only ${qualifiedName(relation)} where ${condition} and (${conditions.join(' or ')})`,
    values,
  };
}
