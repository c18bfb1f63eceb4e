/** From a configuration to what the driver takes. */
import { readFileSync } from 'node:fs';
import { SluiceError } from '@sluice/core';
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

/** @throws SLU_T1210 naming the part that is missing or wrong */
export function resolveSettings(config: PostgresStorageConfig, leaseMs: number): StorageSettings {
  const fromUri = config.uri === undefined ? {} : parseUri(config.uri);
  const host = required('hostname', config.hostname ?? fromUri.hostname);
  const user = required('username', config.username ?? fromUri.username);
  const password = required('password', config.password ?? fromUri.password);
  const database = required('database', config.database ?? fromUri.database);
  const port = config.port ?? fromUri.port ?? 5432;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw unusable(`${port} is not a port`);
  // A holder of the lease that sleeps inside a transaction must not keep the row, and so the stream, for ever.
  const idleMs = Math.max(leaseMs, IDLE_MS_MIN);
  const settings = { ...SESSION_SETTINGS, idle_in_transaction_session_timeout: `${idleMs}` };
  return {
    where: `${host}:${port}/${database}`,
    client: {
      host,
      port,
      user,
      password,
      database,
      ssl: tls(config),
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

function required(name: string, value: string | undefined): string {
  if (value === undefined || (value === '' && name !== 'password')) throw unusable(`there is no ${name}`);
  return value;
}

function unusable(what: string, cause?: unknown): SluiceError {
  return new SluiceError('SLU_T1210', `storage: ${what}`, cause === undefined ? {} : { cause });
}

type Address = Pick<PostgresStorageConfig, 'hostname' | 'port' | 'username' | 'password' | 'database'>;

function parseUri(uri: string): Address {
  let url: URL;
  try {
    url = new URL(uri);
  } catch (cause) {
    throw unusable('the URI cannot be parsed', cause);
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw unusable(`the URI begins with ${url.protocol}`);
  }
  const text = (part: string) => decodeURIComponent(part);
  return {
    ...(url.hostname === '' ? {} : { hostname: text(url.hostname).replace(/^\[|\]$/g, '') }),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...(url.username === '' ? {} : { username: text(url.username) }),
    ...(url.password === '' ? {} : { password: text(url.password) }),
    ...(url.pathname.length < 2 ? {} : { database: text(url.pathname.slice(1)) }),
  };
}

function tls(config: PostgresStorageConfig): ClientConfig['ssl'] {
  const mode = config.sslmode ?? 'verify-full';
  if (mode === 'disable') return false;
  const ca = config.cacert === undefined ? undefined : pem(config.cacert);
  if (mode === 'verify-ca' && ca === undefined) throw unusable('sslmode verify-ca needs a cacert');
  return {
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
    ...(config.clientCertificate === undefined ? {} : { cert: pem(config.clientCertificate) }),
    ...(config.clientPrivateKey === undefined ? {} : { key: pem(config.clientPrivateKey) }),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function pem(textOrPath: string): string {
  if (textOrPath.includes('-----BEGIN')) return textOrPath;
  try {
    return readFileSync(textOrPath, 'utf8');
  } catch (cause) {
    throw unusable(`the certificate file ${textOrPath} cannot be read`, cause);
  }
}
