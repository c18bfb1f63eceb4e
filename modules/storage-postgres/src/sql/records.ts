/** Source records and tombstones, by table and key. */
import type { RecordKey, TableId } from '@sluice/core';
import { byteaArray, int2Array } from '../binary.ts';
import { CopyRows } from '../copy-in.ts';
import type { Sql, Tx } from '../sql.ts';

export const LIVE = 0;
export const PARTIAL = 1;
export const TOMBSTONE = 2;

export interface StoredRecord {
  readonly key: RecordKey;
  readonly flags: number;
  readonly record: Buffer;
}

interface Row {
  readonly key: Buffer;
  readonly flags: number;
  readonly record: Buffer;
}

/** Those of the keys that have a record or a tombstone. */
export async function loadRecords(
  sql: Sql,
  table: string,
  of: { readonly tableId: TableId; readonly keys: readonly RecordKey[] },
): Promise<StoredRecord[]> {
  const rows = await sql.rows<Row>(
    `select key, flags, record from ${table} where table_id = $1 and key = any($2::bytea[])`,
    [of.tableId, keysOf(of.keys)],
  );
  return rows.map(stored);
}

/** Which of the keys have a record or a tombstone. */
export async function knownKeys(
  sql: Sql,
  table: string,
  of: { readonly tableId: TableId; readonly keys: readonly RecordKey[] },
): Promise<Set<RecordKey>> {
  const rows = await sql.rows<{ key: Buffer }>(
    `select key from ${table} where table_id = $1 and key = any($2::bytea[])`,
    [of.tableId, keysOf(of.keys)],
  );
  return new Set(rows.map(({ key }) => key.toString()));
}

export interface RecordPut {
  readonly key: RecordKey;
  readonly flags: number;
  readonly record: Uint8Array;
}

const COLUMNS = 4;
/** Of table and flags. */
const NUMBER_BYTES = 6;

/** For `insertRecords`: all that can be done before the transaction. */
export function packRecords(tableId: TableId, puts: readonly RecordPut[]): CopyRows {
  const rows = new CopyRows();
  for (const { key, flags, record } of puts) {
    const keyBytes = Buffer.from(key);
    rows.row(COLUMNS, NUMBER_BYTES + keyBytes.length + record.length);
    rows.int4(tableId);
    rows.bytes(keyBytes);
    rows.int2(flags);
    rows.bytes(record);
  }
  return rows.seal();
}

/** None of the keys may be there. */
export function insertRecords(sql: Tx, table: string, rows: CopyRows): void {
  sql.copy(`copy ${table} (table_id, key, flags, record) from stdin (format binary)`, rows);
}

/** The arbiter of a conflict is the index, whatever the planner thinks of the table. */
export function putRecords(sql: Tx, table: string, tableId: TableId, puts: readonly RecordPut[]): void {
  if (puts.length === 0) return;
  sql.send(
    `insert into ${table} (table_id, key, flags, record) ${FROM_ARRAYS}
     on conflict (table_id, key) do update set flags = excluded.flags, record = excluded.record`,
    arrays(tableId, puts),
  );
}

const FROM_ARRAYS = 'select $1::int4, * from unnest($2::bytea[], $3::int2[], $4::bytea[])';

function arrays(tableId: TableId, puts: readonly RecordPut[]) {
  return [
    tableId,
    keysOf(puts.map(({ key }) => key)),
    int2Array(puts.map(({ flags }) => flags)),
    byteaArray(puts.map(({ record }) => record)),
  ];
}

export function deleteRecords(
  sql: Tx,
  table: string,
  of: { readonly tableId: TableId; readonly keys: readonly RecordKey[] },
): void {
  if (of.keys.length === 0) return;
  sql.send(`delete from ${table} where table_id = $1 and key = any($2::bytea[])`, [of.tableId, keysOf(of.keys)]);
}

const WHICH = {
  any: 'true',
  live: `flags <> ${TOMBSTONE}`,
  partial: `flags = ${PARTIAL}`,
  tombstone: `flags = ${TOMBSTONE}`,
};

export interface SomeRecords {
  readonly tableId: TableId;
  readonly which: keyof typeof WHICH;
  readonly limit: number;
  /** Only those whose key comes later. */
  readonly after?: RecordKey | undefined;
}

/** In the order of their keys' bytes. */
export async function someRecords(sql: Sql, table: string, of: SomeRecords): Promise<StoredRecord[]> {
  const rows = await sql.rows<Row>(
    `select key, flags, record from ${table}
     where table_id = $1 and ${WHICH[of.which]}${of.after === undefined ? '' : ' and key > $3'}
     order by table_id, key limit $2`,
    [of.tableId, of.limit, ...(of.after === undefined ? [] : [Buffer.from(of.after)])],
  );
  return rows.map(stored);
}

function keysOf(keys: readonly RecordKey[]): Buffer {
  return byteaArray(keys.map((key) => Buffer.from(key)));
}

function stored({ key, flags, record }: Row): StoredRecord {
  return { key: key.toString(), flags, record };
}
