/**
 * Who copies beside the stream's writer: a row each. It is struck off, if it seems to be dead, by whoever wants what it
 * had: from then on it can write nothing. Its transactions lock the stream's row and change what is in it, but neither
 * the lease nor the number of the lease holder's last transaction: nobody else counts that up.
 */
import { invariant, SluiceError, type StreamId } from '@sluice/core';
import { type Fence, isLiving, SESSION, until } from './fence.ts';
import { type Holder, WRITER_NAME } from './lease.ts';
import type { Names } from '../names.ts';
import type { Sql, Tx } from '../sql.ts';
import { type StateRow, stateRowOf, type StoredState, streamDropped } from '../state-row.ts';

interface Entered {
  readonly number: number;
  readonly claimant: string;
}

/** Those whose time is up are struck off by the way. */
export async function enterCopyWriter(sql: Sql, names: Names, holder: Holder): Promise<CopyWriterFence> {
  const { stream, owner, leaseMs } = holder;
  await sql.run(`delete from ${names.copyWriters} where stream = $1 and lease_until <= clock_timestamp()`, [stream]);
  const [entered] = await sql.rows<Entered>(
    `with given as (
       update ${names.states} set copy_writers = copy_writers + 1 where id = $1 returning id, copy_writers as number)
     insert into ${names.copyWriters} (stream, number, claimant, lease_until, lease_pid, lease_session)
     select id, number, $2::text || ', copier ' || number, ${until('$3')}, pg_backend_pid(), ${SESSION} from given
     returning number, claimant`,
    [stream, owner, leaseMs],
  );
  invariant(entered !== undefined, `there is no stream ${stream}`);
  return new CopyWriterFence(names, holder, entered);
}

/** Everybody who may have claimed a task of the stream, and is alive. */
export async function livingClaimants(sql: Sql, names: Names, stream: StreamId): Promise<ReadonlySet<string>> {
  const rows = await sql.rows<Pick<Entered, 'claimant'>>(
    `select w.claimant from ${names.copyWriters} w where w.stream = $1 and ${isLiving('w')}
     union all
     select ${WRITER_NAME} from ${names.states} s where s.id = $1 and s.lease_owner is not null and ${isLiving('s')}`,
    [stream],
  );
  return new Set(rows.map(({ claimant }) => claimant));
}

/** Inside the transaction that takes what it had. No-op for a holder of the lease: its token may still be good. */
export function strikeOff(sql: Tx, names: Names, stream: StreamId, claimant: string): void {
  sql.send(`delete from ${names.copyWriters} where stream = $1 and claimant = $2`, [stream, claimant]);
}

export class CopyWriterFence implements Fence {
  readonly stream: StreamId;
  readonly claimant: string;
  readonly #names: Names;
  readonly #number: number;
  readonly #leaseMs: number;

  constructor(names: Names, { stream, leaseMs }: Holder, { number, claimant }: Entered) {
    this.#names = names;
    this.stream = stream;
    this.claimant = claimant;
    this.#number = number;
    this.#leaseMs = leaseMs;
  }

  lock(sql: Sql): Promise<StateRow> {
    return this.#row(sql, 'for update');
  }

  read(sql: Sql): Promise<StateRow> {
    return this.#row(sql, '');
  }

  /** The stream's row first: whoever strikes this one off has locked that. */
  async #row(sql: Sql, locking: 'for update' | ''): Promise<StateRow> {
    const [[state], [own]] = await Promise.all([
      sql.rows<StoredState>(`select state, counters from ${this.#names.states} where id = $1 ${locking}`, [
        this.stream,
      ]),
      sql.rows<{ seq: number }>(
        `select seq from ${this.#names.copyWriters} where stream = $1 and number = $2 ${locking}`,
        [this.stream, this.#number],
      ),
    ]);
    if (state === undefined) throw streamDropped(this.stream);
    if (own === undefined) throw this.lost();
    return stateRowOf(state, own.seq);
  }

  write(sql: Tx, { state, counters, seq }: StateRow): void {
    const counted = { ...counters, copies: counters.copies + 1 };
    sql.send(`update ${this.#names.states} set state = $2, counters = $3 where id = $1`, [
      this.stream,
      JSON.stringify(state),
      JSON.stringify(counted),
    ]);
    sql.send(
      `update ${this.#names.copyWriters} set seq = $3, lease_until = ${until('$4')} where stream = $1 and number = $2`,
      [this.stream, this.#number, seq, this.#leaseMs],
    );
  }

  async renew(sql: Sql): Promise<void> {
    const renewed = await sql.run(
      `update ${this.#names.copyWriters} set lease_until = ${until('$3')}, lease_pid = pg_backend_pid(),
         lease_session = ${SESSION}
       where stream = $1 and number = $2`,
      [this.stream, this.#number, this.#leaseMs],
    );
    if (renewed === 0) throw this.lost();
  }

  async release(sql: Sql): Promise<void> {
    await sql.run(`delete from ${this.#names.copyWriters} where stream = $1 and number = $2`, [
      this.stream,
      this.#number,
    ]);
  }

  lost(): SluiceError {
    return new SluiceError('SLU_R1108', `stream ${this.stream}: ${this.claimant} was taken for dead`);
  }
}
