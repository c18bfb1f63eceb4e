import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '@sluice/core';
import { describe, expect, it } from 'vitest';
import { parseConfig } from './read.ts';
import { type Config, loadConfig, resolveConfig } from './resolve.ts';
import { configSchema } from './schema.ts';

const MINIMAL = `
replication:
  connections:
    - type: postgresql
      uri: !env SOURCE
sync_rules:
  content: "bucket_definitions: {}"
`;

function resolve(text: string, environment: Record<string, string> = { SOURCE: 'postgresql://u:p@h/d' }): Config {
  return resolveConfig(parseConfig(text, { file: 'sluice.yaml', environment }), '/etc/sluice');
}

function refusal(text: string, environment?: Record<string, string>): string {
  try {
    resolve(text, environment);
  } catch (error) {
    if (error instanceof SluiceError) return `[${error.code}] ${error.where}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('a configuration', () => {
  it('needs little: a source and rules', () => {
    const config = resolve(MINIMAL);
    expect(config).toMatchObject({
      port: 8080,
      connection: { type: 'postgresql', uri: 'postgresql://u:p@h/d' },
      storage: { type: 'lmdb', path: '/etc/sluice/.sluice/storage' },
      syncRules: { content: 'bucket_definitions: {}', name: 'sync_rules.content' },
      auth: { audience: [], keys: [], jwksUris: [], tokenLifetimeSecondsMax: 86_400 },
      api: { tokens: [] },
      limits: { connections: 2000, buckets: 1000, parameterResults: 1000 },
      ignoredKeys: [],
    });
  });

  it('takes what self-hosters have, and says which of it is ignored', () => {
    const config = resolve(
      `${MINIMAL}
telemetry: { disable_telemetry_sharing: true }
healthcheck: { probes: { use_http: true } }
port: !env PORT::number
client_auth:
  jwks_uri: https://id.example.org/keys
  block_local_jwks: true
  audience: [a, b]
api:
  tokens: [secret]
  parameters: { max_concurrent_connections: 5 }
`.replace('!env PORT::number', '9000'),
    );
    expect(config.ignoredKeys).toEqual(['telemetry', 'healthcheck']);
    expect(config.auth).toMatchObject({ jwksUris: ['https://id.example.org/keys'], localJwks: false });
    expect(config.limits.connections).toBe(5);
  });

  it('converts environment variables only where told to', () => {
    const environment = { SOURCE: 'postgresql://u:p@h/d', PORT: '9000' };
    expect(resolve(`${MINIMAL}port: !env PORT::number\n`, environment).port).toBe(9000);
    expect(refusal(`${MINIMAL}port: !env PORT\n`, environment)).toBe(
      '[SLU_C0003] sluice.yaml:8:1: port must be a whole number',
    );
    expect(refusal(`${MINIMAL}port: !env PORT::number\n`, { SOURCE: 'x', PORT: 'high' })).toBe(
      '[SLU_C0004] sluice.yaml:8:12: the value of PORT is not a number',
    );
  });

  it('never prints the value of a variable', () => {
    expect(refusal(`${MINIMAL}port: !env SECRET::number\n`, { SOURCE: 'x', SECRET: 'canary' })).not.toContain('canary');
  });

  it.each([
    ['an unset variable', MINIMAL, {}, '[SLU_C0004] sluice.yaml:5:17: the environment variable SOURCE is not set'],
    [
      'an empty variable',
      MINIMAL,
      { SOURCE: '' },
      '[SLU_C0004] sluice.yaml:5:17: the environment variable SOURCE is not set',
    ],
    [
      'a misspelt key',
      `${MINIMAL}prot: 1\n`,
      undefined,
      '[SLU_C0003] sluice.yaml:8:1: unknown key prot; did you mean port?',
    ],
    [
      'a misspelt inner key',
      MINIMAL.replace('uri:', 'url:'),
      undefined,
      '[SLU_C0003] sluice.yaml:5:7: unknown key replication.connections[0].url; did you mean uri?',
    ],
    [
      'a key like no other',
      `${MINIMAL}api: { zebra: 1 }\n`,
      undefined,
      '[SLU_C0003] sluice.yaml:8:8: unknown key api.zebra; known here: tokens, parameters',
    ],
    ['a wrong type', `${MINIMAL}port: high\n`, undefined, '[SLU_C0003] sluice.yaml:8:1: port must be a whole number'],
    ['a port out of range', `${MINIMAL}port: 70000\n`, undefined, '[SLU_C0003] sluice.yaml:8:1: port must be <= 65535'],
    [
      'an sslmode we do not have',
      MINIMAL.replace('uri:', 'sslmode: prefer\n      uri:'),
      undefined,
      '[SLU_C0003] sluice.yaml:5:7: replication.connections[0].sslmode must be one of verify-full, verify-ca, disable',
    ],
    [
      'a storage that is not built',
      `${MINIMAL}storage: { type: mongodb, uri: x }\n`,
      undefined,
      '[SLU_C0003] sluice.yaml:8:12: storage of type mongodb is not built yet; use lmdb',
    ],
    [
      'a source that is not built',
      MINIMAL.replace('postgresql', 'mysql'),
      undefined,
      '[SLU_C0003] sluice.yaml:4:7: sources of type mysql are not built yet; use postgresql',
    ],
    ['a tab', 'replication:\n\t- x', undefined, '[SLU_C0002] sluice.yaml:2:1: '],
    [
      'a key given twice',
      `${MINIMAL}port: 1\nport: 2\n`,
      undefined,
      '[SLU_C0002] sluice.yaml:9:1: Map keys must be unique',
    ],
    ['an unknown tag', `${MINIMAL}port: !!js/function x\n`, undefined, '[SLU_C0002] sluice.yaml:8:7: Unresolved tag'],
    ['a list', '- a\n', undefined, '[SLU_C0003] sluice.yaml:1:1: the configuration must be a mapping'],
    ['nothing', '', undefined, '[SLU_C0003] sluice.yaml:1:1: the configuration must be a mapping'],
    [
      'rules given twice',
      MINIMAL.replace('content:', 'path: x\n  content:'),
      undefined,
      '[SLU_C0003] sluice.yaml:6:1: sync_rules needs either path or content',
    ],
    [
      'rules that are not there',
      MINIMAL.replace(/content: .*/, 'path: missing.yaml'),
      undefined,
      '[SLU_C0005] sluice.yaml:7:3: /etc/sluice/missing.yaml cannot be read: ENOENT',
    ],
  ])('is refused with its place: %s', (_, text, environment, message) => {
    expect(refusal(text, environment as Record<string, string> | undefined)).toContain(message);
  });

  it('names every problem at once', () => {
    const message = refusal(`${MINIMAL}prot: 1\napi: { tokens: secret }\n`);
    expect(message).toContain('did you mean port?');
    expect(message).toContain('sluice.yaml:9:8: api.tokens must be a list');
  });

  it('finds its rules beside itself', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-config-'));
    writeFileSync(join(directory, 'rules.yaml'), 'streams: {}');
    const file = join(directory, 'sluice.yaml');
    writeFileSync(file, MINIMAL.replace(/content: .*/, 'path: rules.yaml'));
    expect(loadConfig(file, { SOURCE: 'x' }).syncRules?.content).toBe('streams: {}');
    expect(() => loadConfig(join(directory, 'absent.yaml'), {})).toThrowError(/absent.yaml cannot be read: ENOENT/);
  });
});

describe('the documentation', () => {
  const root = new URL('../../../', import.meta.url);

  it('names every key', () => {
    const text = readFileSync(new URL('docs/operating.md', root), 'utf8');
    const missing = keysOf(configSchema).filter((key) => !new RegExp(`[\`.]${key}(?:\\[\\])?[\`.]`).test(text));
    expect(missing).toEqual([]);
  });

  it('has an example that is accepted', () => {
    const environment = { SOURCE_URI: 'postgresql://u:p@h/d', CLIENT_SECRET: 'x'.repeat(43), ADMIN_TOKEN: 'y' };
    const config = loadConfig(fileURLToPath(new URL('sluice.yaml', root)), environment);
    expect(config.connection.uri).toBe(environment.SOURCE_URI);
    expect(config.syncRules?.content).toContain('bucket_definitions');
    expect(config.api.tokens).toEqual(['y']);
  });
});

/** Names of all keys that are configured, but not of what is inside a JWK. */
function keysOf(schema: object): string[] {
  const { properties = {}, items = {} } = schema as { properties?: Record<string, object>; items?: object };
  const own = Object.entries(properties).flatMap(([key, inner]) => [
    key,
    ...(key === 'jwks' ? ['keys'] : keysOf(inner)),
  ]);
  return [...own, ...(Object.keys(items).length === 0 ? [] : keysOf(items))];
}
