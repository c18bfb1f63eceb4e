/** What operators do to a storage that no process serves: migrations by hand, and a new epoch after a restore. */
import { invariant, type StreamId } from '@sluice/core';
import type { Client } from 'pg';
import {
  POOL_SIZE_DEFAULT,
  LEASE_MS_DEFAULT,
  type PostgresStorageConfig,
  type PostgresStorageTools,
} from './config.ts';
import { Database } from './database.ts';
import { storageError } from './errors.ts';
import { migrate, requireMigrated } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import { type Names, namesOf } from './names.ts';
import { resolveSettings } from './settings.ts';
import { ConnectionSql } from './sql.ts';
import { createStream } from './streams.ts';

/** @returns how many steps were taken */
export function migratePostgresStorage(config: PostgresStorageConfig, tools: PostgresStorageTools): Promise<number> {
  return withClient(config, tools, (client, names) => migrate(client, { names, migrations, logger: tools.logger }));
}

export interface NewEpoch {
  readonly before: string;
  readonly epoch: string;
  /** Copies everything anew, under bucket names that no client has seen; null if nothing was deployed. */
  readonly stream: StreamId | null;
}

/** Beyond all that may have been given out since the backup was made. */
const STREAMS_SKIPPED = 1_000;

/**
 * After a backup was restored, op ids and stream ids have gone back, and the source has forgotten what lies between. All
 * streams stop, and one with the newest rules begins, with an id that was never given out: clients drop what they hold
 * and sync again, rather than mix ops of two histories.
 */
export function beginEpoch(config: PostgresStorageConfig, tools: PostgresStorageTools): Promise<NewEpoch> {
  return withClient(config, tools, async (client, names) => {
    await requireMigrated(client, { names, migrations });
    const sql = new ConnectionSql(client);
    await client.query('begin');
    const [about] = await sql.rows<{ epoch: string }>(`select epoch from ${names.about} for update`);
    invariant(about !== undefined, 'the storage has no row about itself');
    const [renewed] = await sql.rows<{ epoch: string }>(
      `update ${names.about} set epoch = gen_random_uuid(), last_stream = last_stream + $1 returning epoch`,
      [STREAMS_SKIPPED],
    );
    const [newest] = await sql.rows<{ rules: string }>(
      `select rules from ${names.streams} where lifecycle <> 'stopped' order by id desc limit 1`,
    );
    await sql.run(`update ${names.streams} set lifecycle = 'stopped'`);
    // Whoever still writes loses its right.
    await sql.run(`update ${names.states} set lease_token = lease_token + 1, lease_owner = null, lease_until = null`);
    await sql.run(`delete from ${names.copyWriters}`);
    const again =
      newest === undefined ? null : { rules: newest.rules, createdAtMs: tools.clock.now(), after: undefined };
    const stream = again === null ? null : (await createStream(sql, names, again)).id;
    await client.query('commit');
    return { before: about.epoch, epoch: (renewed as { epoch: string }).epoch, stream };
  });
}

async function withClient<T>(
  config: PostgresStorageConfig,
  tools: PostgresStorageTools,
  work: (client: Client, names: Names) => Promise<T>,
): Promise<T> {
  const settings = resolveSettings(config, config.leaseMs ?? LEASE_MS_DEFAULT);
  const names = namesOf(config);
  const database = new Database(settings, config.poolSizeMax ?? POOL_SIZE_DEFAULT, tools);
  try {
    const client = await database.connect();
    try {
      return await work(client, names);
    } finally {
      await client.end();
    }
  } catch (error) {
    throw storageError(error, database.where);
  } finally {
    await database.close();
  }
}
