/** Everything a person can have got wrong on the source's side, each with the statement that mends it. */
import { type Logger, SluiceError } from '@sluice/core';
import { Client } from 'pg';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { sourceError } from './errors.ts';
import { quoteName } from './quote.ts';

const VERSION_MIN = 140_000;

const SERVER_SQL = `
  select current_setting('server_version_num'), current_setting('server_version'), current_setting('wal_level'),
    current_setting('max_replication_slots'), current_setting('max_wal_senders'), pg_is_in_recovery()`;

const PUBLICATION_SQL = `
  select pubinsert and pubupdate and pubdelete and pubtruncate, pubviaroot from pg_publication where pubname = $1`;

const ROW_SECURITY_SQL = `
  select count(*), min(relid::regclass::text) from pg_get_publication_tables($1) where row_security_active(relid)`;

export interface PreflightContext {
  readonly database: Database;
  readonly settings: SourceSettings;
  readonly logger: Logger;
}

/** Checks in the order in which a person would meet the problems. @throws SluiceError, the gravest problem */
export async function preflight(context: PreflightContext): Promise<void> {
  const { database, settings, logger } = context;
  await checkServer(database);
  await checkReplicationLogin(context);
  await checkPublication(database, settings.publication);
  const [hidden, example] = await database.row(ROW_SECURITY_SQL, [settings.publication]);
  if (hidden !== '0') {
    const hint = `ALTER ROLE ${quoteName(settings.client.user ?? '')} BYPASSRLS;`;
    logger.warn({ code: 'PSYNC_S1145', tables: Number(hidden), example, hint }, 'row-level security hides rows');
  }
}

async function checkServer(database: Database): Promise<void> {
  const { where } = database;
  const [versionNumber, version, walLevel, slots, senders, standby] = await database.row(SERVER_SQL);
  if (Number(versionNumber) < VERSION_MIN) {
    throw new SluiceError('SLU_S1154', `the server is Postgres ${version}; 14 or newer is needed`, { where });
  }
  if (walLevel !== 'logical') {
    const hint = 'ALTER SYSTEM SET wal_level = logical; then restart the server.';
    throw new SluiceError('SLU_S1123', `wal_level is ${walLevel}`, { where, hint });
  }
  if (slots === '0' || senders === '0') {
    const name = slots === '0' ? 'max_replication_slots' : 'max_wal_senders';
    const hint = `ALTER SYSTEM SET ${name} = 10; then restart the server.`;
    throw new SluiceError('SLU_S1149', `${name} is 0`, { where, hint });
  }
  if (standby === 't') {
    const hint = 'Give the address of the primary.';
    throw new SluiceError('SLU_S1123', 'the server is a standby', { where, hint });
  }
}

/** The right to replicate shows only when one logs in for it: roles, grants of hosting providers and pg_hba all count. */
async function checkReplicationLogin({ database, settings, logger }: PreflightContext): Promise<void> {
  const { where } = database;
  const client = new Client({ ...settings.client, replication: 'database' } as ConstructorParameters<typeof Client>[0]);
  client.on('error', (error) => logger.debug({ error: error.message }, 'the connection of the preflight was lost'));
  try {
    await client.connect();
    await client.query('IDENTIFY_SYSTEM');
  } catch (error) {
    const known = sourceError(error, where);
    if (known.code !== 'PSYNC_S1120' && known.code !== 'SLU_S1122') throw known;
    // The ordinary login has worked before this one, so it is the right that is missing.
    throw new SluiceError('SLU_S1124', known.message, {
      where,
      cause: error,
      hint: `ALTER ROLE ${quoteName(settings.client.user ?? '')} REPLICATION; and allow the role in pg_hba.conf.`,
    });
  } finally {
    await client.end();
  }
}

async function checkPublication(database: Database, publication: string): Promise<void> {
  const { where } = database;
  const name = quoteName(publication);
  const [found] = await database.rows(PUBLICATION_SQL, [publication]);
  if (found === undefined) {
    const hint = `CREATE PUBLICATION ${name} FOR ALL TABLES;`;
    throw new SluiceError('PSYNC_S1141', `publication ${publication} does not exist`, { where, hint });
  }
  const [allOperations, viaRoot] = found;
  if (allOperations !== 't') {
    const hint = `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate');`;
    throw new SluiceError('PSYNC_S1142', `publication ${publication} leaves out operations`, { where, hint });
  }
  if (viaRoot === 't') {
    const hint = `ALTER PUBLICATION ${name} SET (publish_via_partition_root = false);`;
    throw new SluiceError('PSYNC_S1143', `publication ${publication} publishes via the partition root`, {
      where,
      hint,
    });
  }
}
