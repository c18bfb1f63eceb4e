/**
 * A hot standby of a test's server, made from a copy of its files while it runs (the package from npm has no
 * `pg_basebackup`), that keeps copies of its logical slots where the version can (17 and later).
 */
import { randomBytes } from 'node:crypto';
import { chown, cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../service/src/dev/embedded-postgres.ts';
import { findRunAs } from '../../service/src/dev/postgres-binaries.ts';
import { programsFor, type TestPostgres } from './postgres.ts';
import { requestedMajor } from './postgres-versions.ts';

const SLOT = 'standby';
/** Of the running server alone. */
const LEFT_OUT = /^(postmaster\.(pid|opts)|\.s\.PGSQL\..*)$/;
/** Directories that must be there, and empty. */
const EMPTIED = new Set(['pg_wal', 'pg_replslot']);

/** @param database the one whose slots are copied */
export async function startStandby(primary: TestPostgres, database: string): Promise<EmbeddedPostgres> {
  const directory = join(tmpdir(), `sluice-standby-${process.pid}-${randomBytes(4).toString('hex')}`);
  const client = new pg.Client(primary.uri);
  await client.connect();
  try {
    await client.query(`select pg_create_physical_replication_slot('${SLOT}', true)`);
    await client.query("select pg_backup_start('standby', true)");
    await copyFiles(primary.socketDirectory, directory);
    const stopped = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop()');
    await writeFile(join(directory, 'backup_label'), stopped.rows[0]?.labelfile ?? '');
    await writeFile(join(directory, 'standby.signal'), '');
  } finally {
    await client.end();
  }
  await giveToServer(directory);
  const binDirectory = await programsFor(requestedMajor());
  return startEmbeddedPostgres({
    directory,
    password: primary.password,
    settings: {
      max_replication_slots: '100',
      max_wal_senders: '20',
      fsync: 'off',
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password='${primary.password}' dbname=${database}`,
      primary_slot_name: SLOT,
      hot_standby_feedback: 'on',
      sync_replication_slots: 'on',
    },
    disposable: true,
    ...(binDirectory === undefined ? {} : { binDirectory }),
    clock: systemClock,
    logger: silentLogger,
  });
}

async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  for (const entry of await readdir(from)) {
    if (LEFT_OUT.test(entry)) continue;
    if (EMPTIED.has(entry)) await mkdir(join(to, entry), { mode: 0o700 });
    // A file may go while it is copied, as the server's own tools allow for.
    else
      await cp(join(from, entry), join(to, entry), {
        recursive: true,
        filter: (path) => !LEFT_OUT.test(basename(path)),
      });
  }
}

async function giveToServer(directory: string): Promise<void> {
  const { uid, gid } = await findRunAs();
  if (uid === undefined) return;
  const entries = await readdir(directory, { recursive: true });
  for (const path of [directory, ...entries.map((entry) => join(directory, entry))]) await chown(path, uid, gid ?? uid);
}
