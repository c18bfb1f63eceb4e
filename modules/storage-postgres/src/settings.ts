/** From a configuration to what the driver takes. */
import { type AddressRules, serverAddress, SluiceError } from '@sluice/core';
import type { ClientConfig } from 'pg';
import type { PostgresStorageConfig } from './config.ts';

/**
 * Equal on every connection. Plans must not hang on statistics, which do not exist yet of tables filled a second ago:
 * every statement is written for an index and a nested loop, and nothing else is left to the planner.
 */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  jit: 'off',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  max_parallel_workers_per_gather: '0',
  // What a flush has reported as durable is acknowledged to the source.
  synchronous_commit: 'on',
  statement_timeout: '0',
  lock_timeout: '30s',
};

/** A busy machine is not a sleeping one. */
const IDLE_MS_MIN = 2_000;

export interface StorageSettings {
  readonly client: ClientConfig;
  /** Host, port and database, for messages. */
  readonly where: string;
}

const ADDRESS: AddressRules = {
  schemes: ['postgres', 'postgresql'],
  defaultPort: 5432,
  portMin: 1,
  refuse: (_part, problem, cause) =>
    new SluiceError('SLU_T1210', `storage: ${problem}`, cause === undefined ? {} : { cause }),
};

/** @throws SLU_T1210 naming the part that is missing or wrong */
export function resolveSettings(config: PostgresStorageConfig, leaseMs: number): StorageSettings {
  const address = serverAddress(config, ADDRESS);
  // A holder of the lease that sleeps inside a transaction must not keep the row, and so the stream, for ever.
  const idleMs = Math.max(leaseMs, IDLE_MS_MIN);
  const settings = { ...SESSION_SETTINGS, idle_in_transaction_session_timeout: `${idleMs}` };
  return {
    where: `${address.host}:${address.port}/${address.database}`,
    client: {
      ...address,
      application_name: 'sluice storage',
      options: Object.entries(settings)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(' '),
      keepAlive: true,
      keepAliveInitialDelayMillis: 20_000,
      connectionTimeoutMillis: config.connectTimeoutMs ?? 15_000,
    },
  };
}
