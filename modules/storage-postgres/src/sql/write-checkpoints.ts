/** One record per user: the newest write checkpoint's id and the source head that must be passed first. */
import { invariant, type Position } from '@sluice/core';
import type { WriteCheckpoint } from '@sluice/storage';
import { byteaArray, nameKey } from '../binary.ts';
import type { Names } from '../names.ts';
import type { Sql } from '../sql.ts';

interface Row {
  /** Decimal: ids may pass 2^53. */
  readonly id: string;
  readonly head: Position;
}

/** One look, however many users. */
export async function getWriteCheckpoints(
  sql: Sql,
  names: Names,
  users: readonly string[],
): Promise<Map<string, WriteCheckpoint>> {
  const rows = await sql.rows<Row & { readonly ord: number }>(
    `select u.ord, w.id, w.head from unnest($1::bytea[]) with ordinality u (user_key, ord)
     join ${names.writeCheckpoints} w using (user_key)`,
    [byteaArray(users.map(nameKey))],
  );
  return new Map(rows.map(({ ord, id, head }) => [users[ord - 1] as string, { id: BigInt(id), head }]));
}

export async function createWriteCheckpoint(sql: Sql, names: Names, user: string, head: Position): Promise<bigint> {
  return idOf(
    await sql.rows<Row>(
      `insert into ${names.writeCheckpoints} as w (user_key, id, head) values ($1, 1, $2)
       on conflict (user_key) do update set id = w.id + 1, head = excluded.head returning id, head`,
      [nameKey(user), head],
    ),
  );
}

export async function requestWriteCheckpoint(
  sql: Sql,
  names: Names,
  user: string,
  request: WriteCheckpoint,
): Promise<bigint> {
  return idOf(
    await sql.rows<Row>(
      `insert into ${names.writeCheckpoints} as w (user_key, id, head) values ($1, $2, $3)
       on conflict (user_key) do update set
         id = greatest(w.id, excluded.id), head = case when excluded.id > w.id then excluded.head else w.head end
       returning id, head`,
      [nameKey(user), request.id.toString(), request.head],
    ),
  );
}

function idOf([row]: readonly Row[]): bigint {
  invariant(row !== undefined, 'a write checkpoint was not stored');
  return BigInt(row.id);
}
