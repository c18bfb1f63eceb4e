/** Entries of the parameter index: one per lookup key, source row and op id. An empty value ends the entry. */
import type { OpId } from '@sluice/core';
import type { LookupEntry } from '../assembly.ts';
import { byteaArray, int4Array, int8Array, nameKey } from '../binary.ts';
import type { Tx } from '../sql.ts';

export function appendLookups(sql: Tx, table: string, entries: readonly LookupEntry[], first: OpId): void {
  if (entries.length === 0) return;
  sql.send(
    `insert into ${table} (key, table_id, row, op, value)
     select * from unnest($1::bytea[], $2::int4[], $3::bytea[], $4::int8[], $5::bytea[])`,
    [
      byteaArray(entries.map(({ key }) => nameKey(key))),
      int4Array(entries.map((entry) => entry.table)),
      byteaArray(entries.map(({ row }) => Buffer.from(row))),
      int8Array(entries.map(({ ordinal }) => first + ordinal)),
      byteaArray(entries.map(({ value }) => Buffer.from(value))),
    ],
  );
}
