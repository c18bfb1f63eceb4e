/**
 * The right to write all of a stream: {owner, token, until} in its row, by the database's clock. The token rises with
 * every holder and is asserted in every transaction, so a holder that slept through a takeover can change nothing,
 * whatever its own clock says. A lease ends when it has expired, or at once when the holder's session on the server is
 * gone: then the holder is dead, or will find out by its token.
 */
import { SluiceError, type StreamId } from '@sluice/core';
import { type Fence, isLiving, SESSION, until } from './fence.ts';
import type { Names } from '../names.ts';
import type { Sql, Tx } from '../sql.ts';
import { type StateRow, stateRowOf, type StoredState, streamDropped } from '../state-row.ts';

export interface Holder {
  readonly stream: StreamId;
  readonly owner: string;
  readonly leaseMs: number;
}

/** One statement, so that of two that try one succeeds. @throws PSYNC_S1003 */
export async function takeLease(sql: Sql, names: Names, holder: Holder): Promise<StreamLease> {
  const { stream, owner, leaseMs } = holder;
  const [taken] = await sql.rows<{ lease_token: number }>(
    `update ${names.states} s
       set lease_token = lease_token + 1, lease_owner = $2, lease_until = ${until('$3')},
           lease_pid = pg_backend_pid(), lease_session = ${SESSION}
     where id = $1 and not ${isLiving('s')}
     returning lease_token`,
    [stream, owner, leaseMs],
  );
  if (taken !== undefined) return new StreamLease(names, holder, taken.lease_token);
  const [held] = await sql.rows<{ lease_owner: string; left: number }>(
    `select lease_owner, (extract(epoch from lease_until - clock_timestamp()) * 1000)::int4 as left
     from ${names.states} where id = $1`,
    [stream],
  );
  if (held === undefined) throw new SluiceError('SLU_X0001', `there is no stream ${stream}`);
  throw new SluiceError('PSYNC_S1003', `stream ${stream} is written by ${held.lease_owner} (for ${held.left} ms yet)`);
}

interface Stored extends StoredState {
  readonly seq: number;
  readonly lease_token: number;
  readonly lease_owner: string | null;
}

const COLUMNS = 'state, counters, seq, lease_token, lease_owner';

export class StreamLease implements Fence {
  readonly stream: StreamId;
  readonly claimant: string;
  readonly #names: Names;
  readonly #token: number;
  readonly #leaseMs: number;

  constructor(names: Names, { stream, owner, leaseMs }: Holder, token: number) {
    this.#names = names;
    this.stream = stream;
    this.claimant = `${owner}, writer ${token}`;
    this.#token = token;
    this.#leaseMs = leaseMs;
  }

  async lock(sql: Sql): Promise<StateRow> {
    const [row] = await sql.rows<Stored>(`select ${COLUMNS} from ${this.#names.states} where id = $1 for update`, [
      this.stream,
    ]);
    return this.#assertHeld(row);
  }

  async read(sql: Sql): Promise<StateRow> {
    const [row] = await sql.rows<Stored>(`select ${COLUMNS} from ${this.#names.states} where id = $1`, [this.stream]);
    return this.#assertHeld(row);
  }

  #assertHeld(row: Stored | undefined): StateRow {
    if (row === undefined) throw streamDropped(this.stream);
    if (row.lease_token !== this.#token || row.lease_owner === null) throw this.lost();
    return stateRowOf(row, row.seq);
  }

  write(sql: Tx, { state, counters, seq }: StateRow): void {
    sql.send(
      `update ${this.#names.states} set state = $3, counters = $4, seq = $5, lease_until = ${until('$6')}
       where id = $1 and lease_token = $2`,
      [this.stream, this.#token, JSON.stringify(state), JSON.stringify(counters), seq, this.#leaseMs],
    );
  }

  async renew(sql: Sql): Promise<void> {
    const renewed = await sql.run(
      `update ${this.#names.states} set lease_until = ${until('$3')}, lease_pid = pg_backend_pid(),
         lease_session = ${SESSION}
       where id = $1 and lease_token = $2 and lease_owner is not null`,
      [this.stream, this.#token, this.#leaseMs],
    );
    if (renewed === 0) throw this.lost();
  }

  async release(sql: Sql): Promise<void> {
    await sql.run(
      `update ${this.#names.states} set lease_owner = null, lease_until = null, lease_pid = null, lease_session = null
       where id = $1 and lease_token = $2`,
      [this.stream, this.#token],
    );
  }

  lost(): SluiceError {
    return new SluiceError('SLU_R1101', `stream ${this.stream}: the lease with token ${this.#token} has passed on`);
  }
}

/** For SQL over a row `s` of the states: what the holder of the lease is called. */
export const WRITER_NAME = `s.lease_owner || ', writer ' || s.lease_token`;
