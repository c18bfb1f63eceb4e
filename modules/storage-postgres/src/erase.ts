/** The end of a table's rows, a bounded part at a time; and of tombstones that no copy needs any more. */
import { type EraseRows, needsTombstones, type TableState } from '@sluice/storage';
import { append, type Appended } from './append.ts';
import { Assembly } from './assembly.ts';
import type { Names } from './names.ts';
import type { Sql } from './sql.ts';
import { deleteRecords, putRecords, someRecords, TOMBSTONE } from './sql/records.ts';
import type { StateRow } from './state-row.ts';

export interface Erased extends Appended {
  readonly erased: number;
  readonly remaining: boolean;
}

const NOTHING = new Uint8Array(0);

/** Inside the transaction. */
export async function eraseRows(
  sql: Sql,
  tables: ReturnType<Names['of']>,
  at: { readonly row: StateRow; readonly table: TableState },
  { limit, erase }: EraseRows,
): Promise<Erased> {
  const { row, table } = at;
  const found = await someRecords(sql, tables.records, { tableId: table.id, which: 'live', limit: limit + 1 });
  const erased = found.slice(0, limit);
  const assembly = new Assembly();
  for (const { key, record } of erased) assembly.add(table.id, key, erase(table, key, record));
  if (needsTombstones(table, row.state.checkpoint)) {
    const puts = erased.map(({ key }) => ({ key, flags: TOMBSTONE, record: NOTHING }));
    await putRecords(sql, tables.records, table.id, puts);
  } else {
    await deleteRecords(sql, tables.records, { tableId: table.id, keys: erased.map(({ key }) => key) });
  }
  const appended = await append(sql, tables, row, assembly.seal());
  return { ...appended, erased: erased.length, remaining: found.length > erased.length };
}

/** Drops up to `limit` tombstones of tables that need none any more. */
export async function purgeTombstones(
  sql: Sql,
  records: string,
  at: { readonly row: StateRow; readonly tables: readonly TableState[]; readonly limit: number },
): Promise<{ readonly remaining: boolean; readonly purged: number }> {
  let left = at.limit;
  for (const table of at.tables) {
    if (needsTombstones(table, at.row.state.checkpoint)) continue;
    const found = await someRecords(sql, records, { tableId: table.id, which: 'tombstone', limit: left + 1 });
    const purged = found.slice(0, left).map(({ key }) => key);
    await deleteRecords(sql, records, { tableId: table.id, keys: purged });
    left -= purged.length;
    if (found.length > purged.length) return { remaining: true, purged: at.limit - left };
  }
  return { remaining: false, purged: at.limit - left };
}
