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
import { postgresPrograms, requestedMajor } from './postgres-versions.js';
import { startEmbeddedPostgres } from '../../service/src/dev/embedded-postgres.js';
const PASSWORD = 'sluice test';
/** One slot a test, and a hundred tests a file. */
const KIT_SETTINGS = { max_replication_slots: '100', max_wal_senders: '20' };
const FAST_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
export async function startPostgres(options = {}) {
  const directory = join(tmpdir(), `sluice-postgres-${process.pid}-${randomBytes(4).toString('hex')}`);
  const binDirectory = await programsFor(options.major ?? requestedMajor());
  const server = await startEmbeddedPostgres({
    directory,
    password: PASSWORD,
    settings: { ...KIT_SETTINGS, ...(options.durable === true ? {} : FAST_SETTINGS), ...options.settings },
    disposable: true,
    ...(binDirectory === undefined ? {} : { binDirectory }),
    clock: systemClock,
    logger: silentLogger,
  });
  const pools = new Set();
  const query = async (uri, sql) => {
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
export async function programsFor(major) {
  return major === null ? process.env['SLUICE_TEST_POSTGRES_BIN'] : postgresPrograms(major);
}
/** Tests restart servers and end sessions: idle connections are meant to break. Those in use fail with their query. */
function expectedLoss() {}
function testDatabase(name, uri, pool) {
  return {
    name,
    uri,
    query: async (sql, values) => {
      const result = await pool.query(sql, values);
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
//# sourceMappingURL=postgres.js.map
