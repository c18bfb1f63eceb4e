/** For each key, the newest entry of each source row up to a checkpoint; rows whose entry has ended are left out. */
import type { OpId } from '@sluice/core';
import { byteaArray, nameKey } from '../binary.ts';
import type { Sql } from '../sql.ts';

export async function readLookups(
  sql: Sql,
  lookups: string,
  checkpoint: OpId,
  keys: readonly string[],
): Promise<string[][]> {
  const values: string[][] = keys.map(() => []);
  const rows = await sql.rows<{ ord: number; value: Buffer }>(
    `select u.ord, l.value from unnest($1::bytea[]) with ordinality u (key, ord), lateral (
       select distinct on (table_id, row) value from ${lookups} l
       where l.key = u.key and l.op <= $2 order by table_id, row, op desc) l
     where l.value <> ''`,
    [byteaArray(keys.map(nameKey)), checkpoint],
  );
  for (const { ord, value } of rows) values[ord - 1]?.push(value.toString());
  return values;
}
