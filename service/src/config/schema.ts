/**
 * The keys of a configuration file, as PowerSync self-hosters know them. Unknown keys are refused: a misspelt one that is
 * ignored costs an evening.
 */
import { SluiceError } from '@sluice/core';
import { Ajv, type ErrorObject } from 'ajv';
import type { ConfigPath, ConfigSource } from './read.ts';

const text = { type: 'string', minLength: 1 } as const;
const flag = { type: 'boolean' } as const;
const texts = { type: 'array', items: text } as const;
const anything = { type: 'object' } as const;
const count = { type: 'integer', minimum: 1 } as const;

/** Each is a connection to the source while it is read. */
export const COPY_CONCURRENCY_MAX = 32;

/** Of a Postgres server. */
const address = {
  uri: text,
  hostname: text,
  port: { type: 'integer' },
  username: text,
  password: { type: 'string' },
  database: text,
  sslmode: { enum: ['verify-full', 'verify-ca', 'disable'] },
  cacert: text,
  client_certificate: text,
  client_private_key: text,
} as const;

const connection = {
  type: 'object',
  required: ['type'],
  properties: {
    type: text,
    id: text,
    tag: text,
    ...address,
    slot_name: text,
    publication_name: text,
    debug_api: flag,
  },
  additionalProperties: false,
} as const;

const clientAuth = {
  type: 'object',
  properties: {
    audience: texts,
    jwks: {
      type: 'object',
      required: ['keys'],
      properties: { keys: { type: 'array', items: { type: 'object', required: ['kty'], properties: { kty: text } } } },
      additionalProperties: false,
    },
    jwks_uri: { anyOf: [text, texts] },
    block_local_jwks: flag,
    allow_local_jwks: flag,
    max_token_lifetime_seconds: count,
  },
  additionalProperties: false,
} as const;

export const configSchema = {
  type: 'object',
  required: ['replication'],
  properties: {
    replication: {
      type: 'object',
      required: ['connections'],
      properties: {
        connections: { type: 'array', minItems: 1, maxItems: 1, items: connection },
        concurrency: { type: 'integer', minimum: 1, maximum: COPY_CONCURRENCY_MAX },
      },
      additionalProperties: false,
    },
    snapshot: {
      type: 'object',
      properties: {
        concurrency: { type: 'integer', minimum: 1, maximum: COPY_CONCURRENCY_MAX },
        strategy: { enum: ['auto', 'blocks', 'keys'] },
        max_rows_per_second: count,
        max_bytes_per_second: count,
      },
      additionalProperties: false,
    },
    storage: {
      type: 'object',
      required: ['type'],
      properties: {
        type: text,
        // lmdb
        path: text,
        map_size_gb: count,
        // postgresql
        ...address,
        schema: text,
        max_pool_size: count,
        migrations: { enum: ['automatic', 'manual'] },
        lease_seconds: count,
      },
      additionalProperties: false,
    },
    port: { type: 'integer', minimum: 0, maximum: 65_535 },
    host: text,
    sync_rules: {
      type: 'object',
      properties: { path: text, content: text, exit_on_error: flag },
      additionalProperties: false,
    },
    client_auth: clientAuth,
    api: {
      type: 'object',
      properties: {
        tokens: texts,
        parameters: {
          type: 'object',
          properties: {
            max_concurrent_connections: count,
            max_buckets_per_connection: count,
            max_parameter_query_results: count,
            max_data_fetch_concurrency: count,
          },
          additionalProperties: false,
        },
      },
      additionalProperties: false,
    },
    system: {
      type: 'object',
      properties: {
        logging: {
          type: 'object',
          properties: { level: { enum: ['debug', 'info', 'warn', 'error'] }, format: text },
          additionalProperties: false,
        },
      },
      additionalProperties: false,
    },
    telemetry: anything,
    healthcheck: anything,
    migrations: anything,
    metadata: anything,
  },
  additionalProperties: false,
} as const;

/** The file's keys and values, checked. */
export interface RawConfig {
  readonly replication: { readonly connections: readonly [RawConnection]; readonly concurrency?: number };
  readonly snapshot?: {
    readonly concurrency?: number;
    readonly strategy?: 'auto' | 'blocks' | 'keys';
    readonly max_rows_per_second?: number;
    readonly max_bytes_per_second?: number;
  };
  readonly storage?: RawStorage;
  readonly port?: number;
  readonly host?: string;
  readonly sync_rules?: { readonly path?: string; readonly content?: string };
  readonly client_auth?: RawClientAuth;
  readonly api?: {
    readonly tokens?: readonly string[];
    readonly parameters?: {
      readonly max_concurrent_connections?: number;
      readonly max_buckets_per_connection?: number;
      readonly max_parameter_query_results?: number;
    };
  };
  readonly system?: { readonly logging?: { readonly level?: 'debug' | 'info' | 'warn' | 'error' } };
}

export interface RawStorage extends RawAddress {
  readonly type: string;
  readonly path?: string;
  readonly map_size_gb?: number;
  readonly schema?: string;
  readonly max_pool_size?: number;
  readonly migrations?: 'automatic' | 'manual';
  readonly lease_seconds?: number;
}

interface RawAddress {
  readonly uri?: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslmode?: 'verify-full' | 'verify-ca' | 'disable';
  readonly cacert?: string;
  readonly client_certificate?: string;
  readonly client_private_key?: string;
}

export interface RawConnection extends RawAddress {
  readonly type: string;
  readonly id?: string;
  readonly tag?: string;
  readonly slot_name?: string;
  readonly publication_name?: string;
}

export interface RawClientAuth {
  readonly audience?: readonly string[];
  readonly jwks?: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  readonly jwks_uri?: string | readonly string[];
  readonly block_local_jwks?: boolean;
  readonly allow_local_jwks?: boolean;
  readonly max_token_lifetime_seconds?: number;
}

/** Keys that PowerSync knows and we have no use for. */
export const IGNORED_KEYS = ['telemetry', 'healthcheck', 'migrations', 'metadata'] as const;

const validate = new Ajv({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true }).compile<RawConfig>(
  configSchema,
);

/** @throws SLU_C0003 naming every key that does not fit, each with its place */
export function checkConfig(source: ConfigSource): RawConfig {
  if (validate(source.value)) return source.value;
  const problems = (validate.errors ?? [])
    .filter((error) => error.keyword !== 'anyOf')
    .map((error) => {
      const path = placeOf(error, source.value);
      return { where: source.locate(path), message: describe(error, path) };
    });
  const [first, ...others] = problems;
  const more = others.map((problem) => `\n  ${problem.where}: ${problem.message}`).join('');
  throw new SluiceError('SLU_C0003', `${first?.message}${more}`, { where: first?.where ?? '' });
}

function placeOf(error: ErrorObject, value: unknown): ConfigPath {
  const path: (string | number)[] = [];
  let at = value;
  for (const part of error.instancePath.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const key = Array.isArray(at) ? Number(name) : name;
    path.push(key);
    at = (at as Record<string | number, unknown>)[key];
  }
  if (error.keyword === 'additionalProperties') path.push(String(error.params.additionalProperty));
  return path;
}

function describe(error: ErrorObject, path: ConfigPath): string {
  const name = path.length === 0 ? 'the configuration' : pathText(path);
  switch (error.keyword) {
    case 'additionalProperties': {
      const known = Object.keys((error.parentSchema?.properties ?? {}) as object);
      const near = nearest(String(path.at(-1)), known);
      return `unknown key ${name}${near === null ? `; known here: ${known.join(', ')}` : `; did you mean ${near}?`}`;
    }
    case 'required':
      return `${name} needs the key ${error.params.missingProperty}`;
    case 'enum':
      return `${name} must be one of ${(error.params.allowedValues as unknown[]).join(', ')}`;
    case 'type':
      return `${name} must be ${article(String(error.params.type))}`;
    default:
      return `${name} ${error.message}`;
  }
}

function article(type: string): string {
  return type === 'object'
    ? 'a mapping'
    : type === 'array'
      ? 'a list'
      : type === 'integer'
        ? 'a whole number'
        : `a ${type}`;
}

function pathText(path: ConfigPath): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

function nearest(name: string, known: readonly string[]): string | null {
  const ranked = known.map((each) => ({ each, away: distance(name, each) })).sort((a, b) => a.away - b.away);
  const best = ranked[0];
  return best !== undefined && best.away <= Math.max(2, Math.floor(name.length / 3)) ? best.each : null;
}

/** Edits that lead from one word to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
