/** What a person can say about the source, and what the drivers need of it. */
import {
  type AddressPart,
  type AddressRules,
  type ErrorCode,
  serverAddress,
  type ServerKeys,
  SluiceError,
} from '@sluice/core';
import type { ClientConfig } from 'pg';

export type PlanStrategy = 'auto' | 'blocks' | 'keys';

/** The URI begins with `postgresql://`. */
export interface PostgresSourceConfig extends ServerKeys {
  /** Goes into `Relation.connectionTag`. Default `default`. */
  readonly tag?: string;
  /** Name of the replication slot that `open` makes. Default `sluice`. */
  readonly slotName?: string;
  /** Default `powersync`. */
  readonly publicationName?: string;
  /** How tables are cut for their copy. Default `auto`: by blocks where they can be, else by key. */
  readonly planStrategy?: PlanStrategy;
  /** Connections for table reads, besides three for the catalogue and the one of the stream. Default 32. */
  readonly poolSizeMax?: number;
  readonly connectTimeoutMs?: number;
  /** Longest wait for a new slot, which waits for transactions in progress. Default 120 s. */
  readonly slotTimeoutMs?: number;
  /** Longest wait for another connection to let go of our slot. Default 15 s. */
  readonly slotBusyTimeoutMs?: number;
  /** The server is asked for a sign of life this often; it answers with a position. Default 10 s. */
  readonly heartbeatIntervalMs?: number;
  /** The server drops a stream whose process is silent for this long (it sleeps), and frees the slot. Default 15 s. */
  readonly walSenderTimeoutMs?: number;
  /** The stream or a copy breaks off if the server sends nothing for this long. Default 120 s. */
  readonly readDeadlineMs?: number;
  /** Wire bytes of the stream that may wait for their consumer before the socket is paused. Default 8 MiB. */
  readonly streamPendingBytesMax?: number;
}

/** The configuration with every default filled in and checked. */
export interface SourceSettings {
  readonly client: ClientConfig;
  readonly tag: string;
  readonly slot: string;
  readonly publication: string;
  readonly planStrategy: PlanStrategy;
  readonly poolSizeMax: number;
  readonly slotTimeoutMs: number;
  readonly slotBusyTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly readDeadlineMs: number;
  readonly streamPendingBytesMax: number;
}

/**
 * Equal on every connection: what `COPY` writes and what the stream sends for one value must be one text, or record keys
 * and values would differ between the two.
 */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  search_path: 'pg_catalog',
  // Statements of ours are simple and many.
  jit: 'off',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // A read that waits for an ALTER TABLE is given up and tried again, before every later query queues behind it.
  lock_timeout: '30s',
};

const ADDRESS_CODES = {
  uri: 'PSYNC_S1109',
  hostname: 'PSYNC_S1106',
  port: 'PSYNC_S1110',
  username: 'PSYNC_S1107',
  password: 'PSYNC_S1108',
  database: 'PSYNC_S1105',
  tls: 'PSYNC_S1104',
} as const satisfies Record<AddressPart, ErrorCode>;

const ADDRESS: AddressRules = {
  schemes: ['postgres', 'postgresql'],
  defaultPort: 5432,
  portMin: 1024,
  refuse: (part, problem, cause) =>
    new SluiceError(ADDRESS_CODES[part], `the source connection: ${problem}`, cause === undefined ? {} : { cause }),
};

/** @throws PSYNC_S1104 – PSYNC_S1110 naming the part that is missing or wrong */
export function resolveSettings(config: PostgresSourceConfig): SourceSettings {
  return {
    client: clientConfig(config),
    tag: config.tag ?? 'default',
    slot: slotName(config.slotName ?? 'sluice'),
    publication: config.publicationName ?? 'powersync',
    planStrategy: config.planStrategy ?? 'auto',
    poolSizeMax: config.poolSizeMax ?? 32,
    slotTimeoutMs: config.slotTimeoutMs ?? 120_000,
    slotBusyTimeoutMs: config.slotBusyTimeoutMs ?? 15_000,
    heartbeatIntervalMs: config.heartbeatIntervalMs ?? 10_000,
    readDeadlineMs: config.readDeadlineMs ?? 120_000,
    streamPendingBytesMax: config.streamPendingBytesMax ?? 8 * 1024 * 1024,
  };
}

function clientConfig(config: PostgresSourceConfig): ClientConfig {
  const settings = { ...SESSION_SETTINGS, wal_sender_timeout: String(config.walSenderTimeoutMs ?? 15_000) };
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  return {
    ...serverAddress(config, ADDRESS),
    application_name: 'sluice',
    options: options.join(' '),
    keepAlive: true,
    keepAliveInitialDelayMillis: 40_000,
    connectionTimeoutMillis: config.connectTimeoutMs ?? 15_000,
  };
}

function slotName(name: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(name)) return name;
  throw new SluiceError('SLU_C0003', `${name} is not a slot name: use lower-case letters, digits and underscores`);
}
