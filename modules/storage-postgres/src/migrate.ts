/** Brings the schema to the version of this program: all missing steps in one transaction, by one process at a time. */
import { type Logger, SluiceError, type StreamId } from '@sluice/core';
import type { Client } from 'pg';
import type { Migration } from './migrations/migration.ts';
import { type Names, quoted } from './names.ts';

export interface Migrating {
  readonly names: Names;
  readonly migrations: readonly Migration[];
  readonly logger: Logger;
}

/** @throws SLU_T1202 if a newer program has been here, SLU_T1209 if steps are missing */
export async function requireMigrated(client: Client, { names, migrations }: Omit<Migrating, 'logger'>): Promise<void> {
  const version = await schemaVersion(client, names);
  refuseNewer(version, names, migrations);
  if (version >= migrations.length) return;
  throw new SluiceError(
    'SLU_T1209',
    `the storage schema ${names.schema} has version ${version}, this program needs ${migrations.length}`,
  );
}

/** @returns how many steps were taken. @throws SLU_T1202 if a newer program has been here */
export async function migrate(client: Client, migrating: Migrating): Promise<number> {
  const { names, migrations, logger } = migrating;
  if ((await schemaVersion(client, names)) === migrations.length) return 0;
  await client.query('begin');
  try {
    // Another process that starts now waits here, and then finds nothing left to do.
    await client.query("select pg_advisory_xact_lock(hashtext('sluice migrations'), hashtext($1))", [names.schema]);
    const version = await schemaVersion(client, names);
    refuseNewer(version, names, migrations);
    if (version === 0) await begin(client, names);
    const streams = version === 0 ? [] : await storedStreams(client, names);
    for (const step of migrations.slice(version)) await take(client, names, step, streams);
    await client.query('commit');
    logger.info({ schema: names.schema, from: version, to: migrations.length }, 'storage schema migrated');
    return migrations.length - version;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function begin(client: Client, names: Names): Promise<void> {
  // Who may not make schemas can be given one.
  const found = await client.query('select 1 from pg_namespace where nspname = $1', [names.schema]);
  if (found.rowCount === 0) await client.query(`create schema ${quoted(names.schema)}`);
  await client.query(`create table ${names.migrations} (
    number int4 primary key, name text not null, taken_at timestamptz not null default now())`);
}

async function take(client: Client, names: Names, step: Migration, streams: readonly StreamId[]): Promise<void> {
  for (const statement of step.statements(names, streams)) await client.query(statement);
  await client.query(`insert into ${names.migrations} (number, name) values ($1, $2)`, [step.number, step.name]);
}

function refuseNewer(version: number, names: Names, migrations: readonly Migration[]): void {
  if (version <= migrations.length) return;
  throw new SluiceError(
    'SLU_T1202',
    `the storage schema ${names.schema} has version ${version}, this program knows ${migrations.length}`,
  );
}

/** 0: there is none. */
async function schemaVersion(client: Client, names: Names): Promise<number> {
  // Read as rows: a look-up by name may answer from what this session knew before it waited for another's migration.
  const found = await client.query(
    "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = 'migrations'",
    [names.schema],
  );
  if (found.rowCount === 0) return 0;
  const newest = await client.query(`select coalesce(max(number), 0)::int4 as version from ${names.migrations}`);
  return (newest.rows[0] as { version: number }).version;
}

async function storedStreams(client: Client, names: Names): Promise<StreamId[]> {
  const found = await client.query(`select id from ${names.streams} order by id`);
  return (found.rows as { id: StreamId }[]).map(({ id }) => id);
}
