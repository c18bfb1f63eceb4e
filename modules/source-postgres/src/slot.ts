/**
 * The replication slot: what Postgres keeps of its history for us. It is made once, and found again at every start; the
 * rules of `open` are the table in its tests.
 */
import { type Clock, type Logger, type Position, SluiceError } from '@sluice/core';
import type { JsonValue } from '@sluice/storage';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { sqlState } from './errors.ts';
import { positionOfLsn } from './position.ts';
import { oldestTransaction } from './settle.ts';

export interface SlotContext {
  readonly database: Database;
  readonly settings: SourceSettings;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What `open` hands out to be stored. */
export interface SavedSlot {
  readonly slot: string;
  readonly systemId: string;
  readonly timeline: string;
  readonly database: string;
  /** T0. */
  readonly startPosition: Position;
}

export interface SlotState {
  readonly plugin: string;
  readonly database: string;
  readonly activePid: string | null;
  readonly walStatus: string;
  readonly invalidationReason: string | null;
  readonly confirmed: Position | null;
  readonly safeWalSize: number | null;
  readonly retainedBytes: number | null;
}

const POLL_MS = 200;
const WARN_AFTER_MS = 5_000;

// Columns that only newer versions have are read through jsonb.
const SLOT_SQL = `
  select s.plugin, s.database, s.active_pid, coalesce(s.wal_status, 'lost'), to_jsonb(s)->>'invalidation_reason',
    s.confirmed_flush_lsn, s.safe_wal_size, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), s.restart_lsn)
  from pg_replication_slots s where s.slot_name = $1`;

export async function readSlot(database: Database, slot: string): Promise<SlotState | null> {
  const [row] = await database.rows(SLOT_SQL, [slot]);
  if (row === undefined) return null;
  const [plugin, ofDatabase, activePid, walStatus, reason, confirmed, safe, retained] = row;
  const number = (value: string | null | undefined) => (typeof value === 'string' ? Number(value) : null);
  return {
    plugin: plugin ?? '',
    database: ofDatabase ?? '',
    activePid: activePid ?? null,
    walStatus: walStatus ?? 'lost',
    invalidationReason: reason ?? null,
    confirmed: typeof confirmed === 'string' ? positionOfLsn(confirmed) : null,
    safeWalSize: number(safe),
    retainedBytes: number(retained),
  };
}

/** Identity of the cluster; asked over an ordinary connection. */
async function identifySystem(database: Database): Promise<{ systemId: string; timeline: string }> {
  const [systemId, timeline] = await database.row(
    'select (select system_identifier from pg_control_system()), (select timeline_id from pg_control_checkpoint())',
  );
  return { systemId: systemId ?? '', timeline: timeline ?? '' };
}

/** @throws PSYNC_S1146 lost, SLU_S1147 in use, SLU_S1150 another cluster or database */
export async function findSlot(context: SlotContext, saved: SavedSlot): Promise<SavedSlot> {
  const { database, settings } = context;
  const system = await identifySystem(database);
  if (system.systemId !== saved.systemId || settings.client.database !== saved.database) {
    throw new SluiceError(
      'SLU_S1150',
      `system ${system.systemId}, database ${settings.client.database} answers; the data came from ` +
        `system ${saved.systemId}, database ${saved.database}`,
      { where: database.where },
    );
  }
  const state = await readSlot(database, saved.slot);
  if (state === null) throw lost(saved.slot, 'it does not exist any more', database.where);
  if (state.walStatus === 'lost' || state.invalidationReason !== null) {
    throw lost(saved.slot, describeLoss(state.invalidationReason), database.where);
  }
  if (state.plugin !== 'pgoutput' || state.database !== saved.database) {
    throw lost(saved.slot, 'another slot has taken its name', database.where);
  }
  await waitUntilFree(context, saved.slot);
  return { ...saved, timeline: system.timeline };
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
  const system = await identifySystem(database);
  const startPosition = await makeSlot(context);
  return { slot, ...system, database: settings.client.database ?? '', startPosition };
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
  try {
    await client.query(`set statement_timeout = ${Math.ceil(settings.slotTimeoutMs)}`);
    const made = await client.query<{ lsn: string }>(
      "select lsn from pg_create_logical_replication_slot($1, 'pgoutput')",
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

function lost(slot: string, reason: string, where: string): SluiceError {
  return new SluiceError('PSYNC_S1146', `replication slot ${slot}: ${reason}`, { where });
}

function describeLoss(reason: string | null): string {
  switch (reason ?? '') {
    case 'wal_removed':
      return 'it fell behind by more than max_slot_wal_keep_size, and the server removed the WAL it needs';
    case 'idle_timeout':
      return 'it was idle for longer than idle_replication_slot_timeout';
    case 'rows_removed':
      return 'the server removed rows that it needs';
    case 'wal_level_insufficient':
      return 'wal_level was lowered below logical';
    default:
      // Before version 17 the server does not say; there is hardly another reason.
      return 'the server has given it up, most likely because it fell behind by more than max_slot_wal_keep_size';
  }
}

/** @throws SLU_S1150 if the value was not made by this source */
export function parseSaved(saved: JsonValue): SavedSlot {
  const fields = saved as Partial<Record<keyof SavedSlot, unknown>> | null;
  const text = (name: keyof SavedSlot): string => {
    const value = typeof fields === 'object' && fields !== null ? fields[name] : undefined;
    if (typeof value === 'string') return value;
    throw new SluiceError(
      'SLU_S1150',
      `what was saved of the source has no ${name}: it came from another kind of source`,
    );
  };
  return {
    slot: text('slot'),
    systemId: text('systemId'),
    timeline: text('timeline'),
    database: text('database'),
    startPosition: text('startPosition'),
  };
}
