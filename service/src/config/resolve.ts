/** The configuration the program works with: checked, defaults filled in, files read. */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { limits, SluiceError } from '@sluice/core';
import { type CopyThrottle, NO_THROTTLE } from '@sluice/replication';
import { type ConfigSource, readConfigFile } from './read.ts';
import {
  checkConfig,
  IGNORED_KEYS,
  type RawClientAuth,
  type RawConfig,
  type RawConnection,
  type RawStorage,
} from './schema.ts';

export interface Config {
  /** Absolute path of the file it was read from. */
  readonly file: string;
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly connection: RawConnection;
  readonly storage: StorageConfig;
  /** Null: operators deploy them over HTTP. */
  readonly syncRules: {
    readonly content: string;
    /** For messages: a path, or `sync_rules.content`. */
    readonly name: string;
  } | null;
  readonly auth: AuthConfig;
  readonly api: { readonly tokens: readonly string[] };
  readonly limits: { readonly connections: number; readonly buckets: number; readonly parameterResults: number };
  readonly snapshot: SnapshotConfig;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Keys that were given and are ignored. */
  readonly ignoredKeys: readonly string[];
}

export type StorageConfig =
  | { readonly type: 'lmdb'; readonly path: string; readonly mapSizeBytes: number | null }
  | { readonly type: 'postgresql'; readonly settings: Omit<RawStorage, 'type' | 'path' | 'map_size_gb'> };

export interface SnapshotConfig {
  /** Tasks read at once. */
  readonly concurrency: number;
  readonly strategy: 'auto' | 'blocks' | 'keys';
  readonly throttle: CopyThrottle;
}

export interface AuthConfig {
  readonly audience: readonly string[];
  /** JWKs, not yet imported. */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  readonly jwksUris: readonly string[];
  /** Whether key sets may be fetched from local and private addresses. */
  readonly localJwks: boolean;
  readonly tokenLifetimeSecondsMax: number;
}

export const SNAPSHOT_DEFAULT: SnapshotConfig = { concurrency: 4, strategy: 'auto', throttle: NO_THROTTLE };

const DAY_SECONDS = 86_400;

/** @throws SLU_C0001 – SLU_C0005 */
export function loadConfig(file: string, environment: Readonly<Record<string, string | undefined>>): Config {
  return resolveConfig(readConfigFile(file, environment), dirname(resolve(file)));
}

/** @param base relative paths of the file start here */
export function resolveConfig(source: ConfigSource, base: string): Config {
  const raw = checkConfig(source);
  const [connection] = raw.replication.connections;
  if (connection.type !== 'postgresql') {
    throw new SluiceError('SLU_C0003', `sources of type ${connection.type} are not built yet; use postgresql`, {
      where: source.locate(['replication', 'connections', 0, 'type']),
    });
  }
  const parameters = raw.api?.parameters;
  return {
    file: resolve(base, basename(source.file)),
    host: raw.host ?? '0.0.0.0',
    port: raw.port ?? 8080,
    connection,
    storage: resolveStorage(raw, source, base),
    syncRules: resolveSyncRules(raw, source, base),
    auth: resolveAuth(raw.client_auth ?? {}),
    api: { tokens: raw.api?.tokens ?? [] },
    limits: {
      connections: parameters?.max_concurrent_connections ?? limits.connectionsMax,
      buckets: parameters?.max_buckets_per_connection ?? limits.bucketsPerConnectionMax,
      parameterResults: parameters?.max_parameter_query_results ?? limits.parameterResultsMax,
    },
    snapshot: resolveSnapshot(raw),
    logLevel: raw.system?.logging?.level ?? 'info',
    ignoredKeys: IGNORED_KEYS.filter((key) => key in raw),
  };
}

function resolveSnapshot({ replication, snapshot }: RawConfig): SnapshotConfig {
  return {
    // `replication.concurrency` is its older name.
    concurrency: snapshot?.concurrency ?? replication.concurrency ?? SNAPSHOT_DEFAULT.concurrency,
    strategy: snapshot?.strategy ?? SNAPSHOT_DEFAULT.strategy,
    throttle: {
      rowsPerSecondMax: snapshot?.max_rows_per_second ?? null,
      bytesPerSecondMax: snapshot?.max_bytes_per_second ?? null,
    },
  };
}

function resolveStorage(raw: RawConfig, source: ConfigSource, base: string): StorageConfig {
  const { type, path, map_size_gb, ...settings } = raw.storage ?? { type: 'lmdb' };
  const foreign = Object.keys(type === 'lmdb' ? settings : { path, map_size_gb });
  const misplaced = foreign.find((key) => raw.storage !== undefined && key in raw.storage);
  if (type !== 'lmdb' && type !== 'postgresql') {
    throw new SluiceError('SLU_C0003', `storage of type ${type} is not built yet; use lmdb or postgresql`, {
      where: source.locate(['storage', 'type']),
    });
  }
  if (misplaced !== undefined) {
    throw new SluiceError('SLU_C0003', `storage.${misplaced} has no meaning for storage of type ${type}`, {
      where: source.locate(['storage', misplaced]),
    });
  }
  if (type === 'postgresql') return { type, settings };
  return {
    type,
    path: resolve(base, path ?? '.sluice/storage'),
    mapSizeBytes: map_size_gb === undefined ? null : map_size_gb * 1024 ** 3,
  };
}

function resolveSyncRules(raw: RawConfig, source: ConfigSource, base: string): Config['syncRules'] {
  if (raw.sync_rules === undefined) return null;
  const { path, content } = raw.sync_rules;
  if ((path === undefined) === (content === undefined)) {
    throw new SluiceError('SLU_C0003', 'sync_rules needs either path or content', {
      where: source.locate(['sync_rules']),
    });
  }
  if (content !== undefined) return { content, name: 'sync_rules.content' };
  const file = resolve(base, path as string);
  try {
    return { content: readFileSync(file, 'utf8'), name: file };
  } catch (cause) {
    throw new SluiceError('SLU_C0005', `${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, {
      where: source.locate(['sync_rules', 'path']),
      cause,
    });
  }
}

function resolveAuth(raw: RawClientAuth): AuthConfig {
  const uris = raw.jwks_uri ?? [];
  return {
    audience: raw.audience ?? [],
    keys: raw.jwks?.keys ?? [],
    jwksUris: typeof uris === 'string' ? [uris] : uris,
    localJwks: raw.allow_local_jwks ?? !(raw.block_local_jwks ?? false),
    tokenLifetimeSecondsMax: raw.max_token_lifetime_seconds ?? DAY_SECONDS,
  };
}
