/**
 * A throwaway Postgres: one instance per test file, one database per test.
 *
 *     const postgres = await startPostgres();            // beforeAll
 *     const db = await postgres.createDatabase();        // in the test
 *     await db.query('create table t (id int primary key)');
 *     await postgres.stop();                             // afterAll
 *
 * SLUICE_TEST_POSTGRES=15|16|17|18 runs the same tests on another version than the one that comes with the repository
 * (17), SLUICE_TEST_POSTGRES_BIN on the programs of a directory.
 */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import pg from 'pg';
import { type PostgresMajor, postgresPrograms, requestedMajor } from './postgres-versions.ts';
import { startEmbeddedPostgres, type StopKind } from '../../service/src/dev/embedded-postgres.ts';

export interface StartPostgresOptions {
  /** Server settings above the kit's (`max_slot_wal_keep_size: '1MB'`, …). */
  readonly settings?: Readonly<Record<string, string>>;
  /** With fsync and synchronous commit, for benches whose figures are to be believed. Default false. */
  readonly durable?: boolean;
  /** Default what the environment says, or the version that comes with the repository. */
  readonly major?: PostgresMajor;
}

export interface TestDatabase {
  readonly name: string;
  readonly uri: string;
  /** Runs statements on a pooled superuser connection; values come back as text, except booleans, int4 and json. */
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>;
  /** A connection of its own, for open transactions and locks; the caller ends it. */
  connect(): Promise<pg.Client>;
}

export interface TestPostgres {
  readonly port: number;
  /** The database `postgres` over TCP, as superuser. */
  readonly uri: string;
  readonly password: string;
  /** Host for the unix socket of the server. */
  readonly socketDirectory: string;
  /** @param options.template a database that nobody is connected to */
  createDatabase(name?: string, options?: { readonly template?: string }): Promise<TestDatabase>;
  /** Ends the server and removes its directory; after `kill` it can be started again, and is removed by a second stop. */
  stop(kind?: StopKind): Promise<void>;
  /** Stops (default `fast`) and starts on the same port; connections break, data stays. */
  restart(kind?: StopKind): Promise<void>;
}

const PASSWORD = 'sluice test';
/** One slot a test, and a hundred tests a file. */
const KIT_SETTINGS = { max_replication_slots: '100', max_wal_senders: '20' };
const FAST_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

/** Where test runs keep a filled data directory for each version; the environment says (postgres-template.ts). */
const TEMPLATES = process.env['SLUICE_TEST_POSTGRES_TEMPLATES'];
let isFirst = true;

export async function startPostgres(options: StartPostgresOptions = {}): Promise<TestPostgres> {
  const directory = join(tmpdir(), `sluice-postgres-${process.pid}-${randomBytes(4).toString('hex')}`);
  const major = options.major ?? requestedMajor();
  const binDirectory = await programsFor(major);
  // Copies are the same cluster to whoever asks: only one of a test file's servers may be one.
  const template = isFirst && TEMPLATES !== undefined ? { template: join(TEMPLATES, String(major ?? 'own')) } : {};
  isFirst = false;
  const server = await startEmbeddedPostgres({
    directory,
    password: PASSWORD,
    settings: { ...KIT_SETTINGS, ...(options.durable === true ? {} : FAST_SETTINGS), ...options.settings },
    disposable: true,
    ...template,
    ...(binDirectory === undefined ? {} : { binDirectory }),
    clock: systemClock,
    logger: silentLogger,
  });
  const pools = new Set<pg.Pool>();
  const query = async (uri: string, sql: string) => {
    const client = new pg.Client(uri);
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  return {
    port: server.port,
    uri: server.uri('postgres'),
    password: PASSWORD,
    socketDirectory: server.socketDirectory,
    createDatabase: async (name = `test_${randomBytes(6).toString('hex')}`, { template = 'template1' } = {}) => {
      const names = [name, template].map(pg.escapeIdentifier);
      await query(server.uri('postgres'), `create database ${names.join(' template ')}`);
      const pool = new pg.Pool({ connectionString: server.uri(name), max: 4, allowExitOnIdle: true });
      pool.on('error', expectedLoss);
      pools.add(pool);
      return testDatabase(name, server.uri(name), pool);
    },
    stop: async (kind) => {
      if (kind !== 'kill') {
        for (const pool of pools) await pool.end();
        pools.clear();
      }
      await server.stop(kind);
    },
    restart: (kind = 'fast') => server.restart(kind),
  };
}

/** Undefined: those that come with the repository. */
export async function programsFor(major: PostgresMajor | null): Promise<string | undefined> {
  return major === null ? process.env['SLUICE_TEST_POSTGRES_BIN'] : postgresPrograms(major);
}

/** Tests restart servers and end sessions: idle connections are meant to break. Those in use fail with their query. */
function expectedLoss(): void {}

function testDatabase(name: string, uri: string, pool: pg.Pool): TestDatabase {
  return {
    name,
    uri,
    query: async <R extends pg.QueryResultRow>(sql: string, values?: unknown[]) => {
      const result = await pool.query<R>(sql, values);
      return result.rows;
    },
    connect: async () => {
      const client = new pg.Client(uri);
      client.on('error', expectedLoss);
      await client.connect();
      return client;
    },
  };
}
