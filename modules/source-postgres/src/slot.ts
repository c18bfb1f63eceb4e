/**
 * The replication slot: what Postgres keeps of its history for us. It is made once, and found again at every start; the
 * decision whether it still serves is restart.ts.
 */
import { type Clock, type Logger, type Position, SluiceError } from '@sluice/core';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { sqlState } from './errors.ts';
import { readServer, type SavedSlot } from './lineage.ts';
import { positionOfLsn } from './position.ts';
import { oldestTransaction } from './settle.ts';

export interface SlotContext {
  readonly database: Database;
  readonly settings: SourceSettings;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SlotState {
  readonly plugin: string;
  readonly database: string;
  readonly activePid: string | null;
  readonly walStatus: string;
  readonly invalidationReason: string | null;
  readonly confirmed: Position | null;
  readonly safeWalSize: number | null;
  /** `max_slot_wal_keep_size`; null if it is unlimited. */
  readonly limitBytes: number | null;
  readonly retainedBytes: number | null;
}

const POLL_MS = 200;
const WARN_AFTER_MS = 5_000;
const FAILOVER_VERSION = 170_000;

// Columns that only newer versions have are read through jsonb.
const SLOT_SQL = `
  select s.plugin, s.database, s.active_pid, coalesce(s.wal_status, 'lost'), to_jsonb(s)->>'invalidation_reason',
    s.confirmed_flush_lsn, s.safe_wal_size, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), s.restart_lsn),
    (select nullif(setting, '-1')::bigint * 1024 * 1024 from pg_settings where name = 'max_slot_wal_keep_size')
  from pg_replication_slots s where s.slot_name = $1`;

export async function readSlot(database: Database, slot: string): Promise<SlotState | null> {
  const [row] = await database.rows(SLOT_SQL, [slot]);
  if (row === undefined) return null;
  const [plugin, ofDatabase, activePid, walStatus, reason, confirmed, safe, retained, limit] = row;
  const number = (value: string | null | undefined) => (typeof value === 'string' ? Number(value) : null);
  return {
    plugin: plugin ?? '',
    database: ofDatabase ?? '',
    activePid: activePid ?? null,
    walStatus: walStatus ?? 'lost',
    invalidationReason: reason ?? null,
    confirmed: typeof confirmed === 'string' ? positionOfLsn(confirmed) : null,
    safeWalSize: number(safe),
    limitBytes: number(limit),
    retainedBytes: number(retained),
  };
}

/** Waits until the slot is free to be read from. @throws SLU_S1147 in use */
export async function findSlot(context: SlotContext, saved: SavedSlot): Promise<SavedSlot> {
  await waitUntilFree(context, saved.slot);
  const { systemId, timeline, database, databaseId, publicationId } = await readServer(
    context.database,
    context.settings,
  );
  return { ...saved, systemId, timeline, database, databaseId, publicationId };
}

/** Makes the slot, over one that an earlier attempt may have left. @throws SLU_S1147 in use, SLU_S1149 not made */
export async function createSlot(context: SlotContext): Promise<SavedSlot> {
  const { database, settings } = context;
  const { slot } = settings;
  const left = await readSlot(database, slot);
  if (left !== null) {
    if (left.database !== settings.client.database) {
      throw new SluiceError('SLU_S1149', `another database of the server has a slot named ${slot}`, {
        where: database.where,
        hint: 'Choose another slot name.',
      });
    }
    await waitUntilFree(context, slot);
    await dropSlot(context, slot);
  }
  const { head: _, ...lineage } = await readServer(database, settings);
  const startPosition = await makeSlot(context);
  return { slot, ...lineage, startPosition };
}

async function makeSlot(context: SlotContext): Promise<Position> {
  const { database, settings, clock, logger } = context;
  const { client, release } = await database.lease();
  const warning = clock.timer(WARN_AFTER_MS, () => {
    oldestTransaction(database).then(
      (blocking) => logger.warn({ slot: settings.slot, blocking }, 'a new slot waits for transactions in progress'),
      (error: unknown) => logger.debug({ error }, 'the transaction that a new slot waits for is not known'),
    );
  });
  // A slot that standbys keep a copy of, where they are told to: after a promotion the stream goes on.
  const failover = (await database.serverVersion()) >= FAILOVER_VERSION ? ', failover => true' : '';
  try {
    await client.query(`set statement_timeout = ${Math.ceil(settings.slotTimeoutMs)}`);
    const made = await client.query<{ lsn: string }>(
      `select lsn from pg_create_logical_replication_slot($1, 'pgoutput'${failover})`,
      [settings.slot],
    );
    return positionOfLsn(made.rows[0]?.lsn ?? '');
  } catch (error) {
    throw await explainFailure(context, error);
  } finally {
    warning();
    // Its statement_timeout was changed.
    release(false);
  }
}

async function explainFailure({ database, settings }: SlotContext, error: unknown): Promise<SluiceError> {
  const { slot } = settings;
  const details = { where: database.where, cause: error };
  const message = error instanceof Error ? error.message : String(error);
  const state = sqlState(error);
  if (state === '57014') {
    const blocking = await oldestTransaction(database);
    const seconds = Math.round(settings.slotTimeoutMs / 1000);
    return new SluiceError('SLU_S1149', `slot ${slot} was not ready after ${seconds} s; it waits for ${blocking}`, {
      ...details,
      hint: 'End that transaction: COMMIT or ROLLBACK it, or SELECT pg_terminate_backend(pid).',
    });
  }
  if (state === '42501') {
    return new SluiceError('SLU_S1124', message, {
      ...details,
      hint: `ALTER ROLE "${settings.client.user}" REPLICATION;`,
    });
  }
  if (state === '55000') {
    return new SluiceError('SLU_S1123', message, details);
  }
  return new SluiceError('SLU_S1149', `slot ${slot} was not made: ${message}`, details);
}

/** After a crash of ours the server may hold the slot for a moment: until it notices that we are gone. */
async function waitUntilFree({ database, settings, clock }: SlotContext, slot: string): Promise<void> {
  const deadline = clock.monotonic() + settings.slotBusyTimeoutMs;
  for (;;) {
    const state = await readSlot(database, slot);
    if (state === null || state.activePid === null) return;
    if (clock.monotonic() >= deadline) {
      throw new SluiceError(
        'SLU_S1147',
        `slot ${slot} is held by ${await describeBackend(database, state.activePid)}`,
        {
          where: database.where,
        },
      );
    }
    await clock.sleep(POLL_MS);
  }
}

async function describeBackend(database: Database, pid: string): Promise<string> {
  const [row] = await database.rows(
    'select application_name, client_addr, backend_start::timestamptz(0) from pg_stat_activity where pid = $1',
    [pid],
  );
  if (row === undefined) return `pid ${pid}`;
  const [application, address, since] = row;
  return `pid ${pid} (${application ?? '?'} from ${address ?? 'a local socket'}, since ${since ?? '?'})`;
}

/** Drops the slot if it exists, ending whatever holds it. */
export async function dropSlot({ database, clock, settings }: SlotContext, slot: string): Promise<void> {
  const deadline = clock.monotonic() + settings.slotBusyTimeoutMs;
  for (;;) {
    const state = await readSlot(database, slot);
    if (state === null) return;
    try {
      if (state.activePid !== null) await database.rows('select pg_terminate_backend($1)', [state.activePid]);
      await database.rows('select pg_drop_replication_slot($1)', [slot]);
      return;
    } catch (error) {
      const cause = error instanceof SluiceError ? error.cause : error;
      // 55006: still held; 42704: another dropped it first.
      if (sqlState(cause) === '42704') return;
      if (sqlState(cause) !== '55006' || clock.monotonic() >= deadline) throw error;
    }
    await clock.sleep(POLL_MS);
  }
}
