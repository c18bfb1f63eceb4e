/** One record per user: the newest write checkpoint's id and the source head that must be passed first. */
import { invariant, type Position } from '@sluice/core';
import { nameKey } from '../binary.ts';
import type { Names } from '../names.ts';
import type { Sql } from '../sql.ts';

interface Row {
  /** Decimal: ids may pass 2^53. */
  readonly id: string;
  readonly head: Position;
}

export interface WriteCheckpoint {
  readonly id: bigint;
  readonly head: Position;
}

export async function getWriteCheckpoint(sql: Sql, names: Names, user: string): Promise<WriteCheckpoint | null> {
  const [row] = await sql.rows<Row>(`select id, head from ${names.writeCheckpoints} where user_key = $1`, [
    nameKey(user),
  ]);
  return row === undefined ? null : { id: BigInt(row.id), head: row.head };
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
