/**
 * The settle fence. A transaction that committed just before the slot's start may still be invisible to a new snapshot,
 * for example while it waits for a synchronous standby: its rows would be neither in the copy nor in the stream. Once
 * every transaction id given out before the fence has ended, all of them are visible.
 *
 * The fence is a transaction id of our own. The xmax of a snapshot would not do: it is the successor of the newest
 * transaction that has *ended*, and those in progress may well be above it.
 */
import type { Clock, Logger } from '@sluice/core';
import type { Database } from './database.ts';

const POLL_MS_MIN = 20;
const POLL_MS_MAX = 1_000;
const WARN_EVERY_MS = 10_000;

export interface SettleContext {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Resolves when every transaction in progress at the call has ended. Rejects with the signal's reason. */
export async function settle({ database, clock, logger }: SettleContext, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const [fence] = await database.row('select pg_current_xact_id()');
  let warnAt = clock.monotonic() + WARN_EVERY_MS;
  for (let wait = POLL_MS_MIN; ; wait = Math.min(wait * 2, POLL_MS_MAX)) {
    const [passed] = await database.row('select pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8', [fence]);
    if (passed === 't') return;
    if (clock.monotonic() >= warnAt) {
      warnAt += WARN_EVERY_MS;
      logger.warn({ blocking: await oldestTransaction(database) }, 'the copy waits for transactions in progress');
    }
    await clock.sleep(wait, signal);
  }
}

/** The transaction, open or prepared, that has written for the longest time; in words. */
export async function oldestTransaction(database: Database): Promise<string> {
  const [row] = await database.rows(
    `select * from (
       select case when state is null
         then format('pid %s of user %s (GRANT pg_monitor shows what it does)', pid, usename)
         else format('pid %s (%s, user %s, %s since %s): %s', pid, coalesce(nullif(application_name, ''), 'unnamed'),
           usename, state, state_change::timestamptz(0), left(query, 120)) end, xact_start
       from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
       union all
       select format('the prepared transaction %s of %s', gid, owner), prepared from pg_prepared_xacts
     ) each order by xact_start limit 1`,
  );
  return row?.[0] ?? 'a transaction that has ended by now';
}
