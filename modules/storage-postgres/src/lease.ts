/**
 * The right to write a stream: {owner, token, until} in its row, by the database's clock. The token rises with every
 * holder and is asserted in every transaction, so a holder that slept through a takeover can change nothing, whatever its
 * own clock says. A lease ends when it has expired, or at once when the holder's session on the server is gone: then the
 * holder is dead, or will find out by its token.
 */
import { SluiceError, type StreamId } from '@sluice/core';
import type { Names } from './names.ts';
import type { Sql } from './sql.ts';
import type { Holding } from './state-row.ts';

const SESSION = '(select backend_start from pg_stat_activity where pid = pg_backend_pid())';
const UNTIL = (parameter: string) => `clock_timestamp() + ${parameter} * interval '1 ms'`;

/** One statement, so that of two that try one succeeds. @returns the fencing token. @throws PSYNC_S1003 */
export async function takeLease(
  sql: Sql,
  names: Names,
  { stream, owner, leaseMs }: { readonly stream: StreamId; readonly owner: string; readonly leaseMs: number },
): Promise<number> {
  const [taken] = await sql.rows<{ lease_token: number }>(
    `update ${names.states} s
       set lease_token = lease_token + 1, lease_owner = $2, lease_until = ${UNTIL('$3')},
           lease_pid = pg_backend_pid(), lease_session = ${SESSION}
     where id = $1 and (lease_until is null or lease_until <= clock_timestamp() or not exists (
       select 1 from pg_stat_activity a where a.pid = s.lease_pid and a.backend_start = s.lease_session))
     returning lease_token`,
    [stream, owner, leaseMs],
  );
  if (taken !== undefined) return taken.lease_token;
  const [held] = await sql.rows<{ lease_owner: string; left: number }>(
    `select lease_owner, (extract(epoch from lease_until - clock_timestamp()) * 1000)::int4 as left
     from ${names.states} where id = $1`,
    [stream],
  );
  if (held === undefined) throw new SluiceError('SLU_X0001', `there is no stream ${stream}`);
  throw new SluiceError('PSYNC_S1003', `stream ${stream} is written by ${held.lease_owner} (for ${held.left} ms yet)`);
}

/** Also tells the server of a new session. @throws SLU_R1101 if the lease is another's by now */
export async function renewLease(sql: Sql, names: Names, of: Holding & { readonly leaseMs: number }): Promise<void> {
  const renewed = await sql.run(
    `update ${names.states} set lease_until = ${UNTIL('$3')}, lease_pid = pg_backend_pid(), lease_session = ${SESSION}
     where id = $1 and lease_token = $2 and lease_owner is not null`,
    [of.stream, of.token, of.leaseMs],
  );
  if (renewed === 1) return;
  throw new SluiceError('SLU_R1101', `stream ${of.stream}: the lease with token ${of.token} has passed on`);
}

export async function releaseLease(sql: Sql, names: Names, of: Holding): Promise<void> {
  await sql.run(
    `update ${names.states} set lease_owner = null, lease_until = null, lease_pid = null, lease_session = null
     where id = $1 and lease_token = $2`,
    [of.stream, of.token],
  );
}
