import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROGRAM } from '../dev/program.ts';
import { HttpWorld, OPERATOR, RULES, tokenOf } from '../http/http-world.ts';
import { collectClaims } from './claims.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function sluice(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...PROGRAM, ...args], { cwd: folder }, (error, out, err) => {
      expect(err).not.toMatch(/\n\s+at /);
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('sluice', () => {
  it('says how it is used', async () => {
    const help = await sluice('--help');
    expect(help.code).toBe(0);
    for (const command of ['start', 'validate', 'schema', 'token', 'status', 'sync'])
      expect(help.out).toContain(command);
    expect((await sluice('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [['nonsense'], /unknown command/],
    [['validate'], /missing required argument/],
    [['validate', 'x', '--schema', 'a', '--config', 'b'], /cannot be used with/],
    [['schema', 'x', '--lang', 'cobol'], /Allowed choices are ts, dart, kotlin, swift, json/],
    [['token'], /required option/],
    [['start', '--conf', 'x'], /unknown option/],
  ] as const)('exits with 2 for wrong usage: %j', async (args, message) => {
    const { code, err } = await sluice(...args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('describes what is wrong with a configuration, in one paragraph', async () => {
    const { code, err } = await sluice('start', '--config', join(folder, 'missing.yaml'));
    expect(code).toBe(1);
    expect(err).toMatch(/^\[SLU_C0001\] .*missing\.yaml cannot be read: ENOENT\n {2}→ /);
  });
});

describe('sluice validate', () => {
  it('accepts good rules', async () => {
    const path = file('good.yaml', RULES);
    expect(await sluice('validate', path)).toEqual({ code: 0, out: `${path}: valid, 2 definitions\n`, err: '' });
  });

  it('refuses bad ones with the place, and as JSON', async () => {
    const path = file('bad.yaml', RULES.replace('SELECT id, value FROM t', 'SELECT id FORM t'));
    const { code, err } = await sluice('validate', path);
    expect(code).toBe(1);
    expect(err).toMatch(/bad\.yaml:4:\d+: error: /);
    const json = await sluice('validate', '--json', path);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ valid: false, diagnostics: [{ severity: 'fatal', line: 4 }] });
  });

  it('says that a file is not there', async () => {
    expect((await sluice('validate', join(folder, 'absent.yaml'))).err).toMatch(/^\[SLU_C0005\]/);
  });
});

describe('sluice validate and schema, with the tables of the source', () => {
  const tables = [{ schema: 'public', name: 't', columns: ['id', 'valu'].map((name) => ({ name, type: 'text' })) }];
  const source = file('source.json', JSON.stringify({ tables }));
  const rules = file('rules.yaml', 'bucket_definitions:\n  g:\n    data:\n      - SELECT id, value FROM t\n');

  it('warn of columns that are not there; with --strict that is an error', async () => {
    const lax = await sluice('validate', rules, '--schema', source);
    expect(lax).toMatchObject({ code: 0, out: `${rules}: valid, 1 definition, 1 warning\n` });
    const strict = await sluice('validate', rules, '--schema', source, '--strict', '--json');
    expect(strict.code).toBe(1);
    const [diagnostic] = (JSON.parse(strict.out) as { diagnostics: object[] }).diagnostics;
    expect(diagnostic).toMatchObject({
      severity: 'warning',
      code: 'unknown-column',
      line: 4,
      column: 20,
      text: 'value',
    });
    expect(Object.keys(diagnostic ?? {})).toEqual(expect.arrayContaining(['message', 'hint', 'start', 'end']));
  });

  it.each([
    ['{"tables": [{"schema": "public"}]}', /^\[SLU_C0003\] .*\/tables\/0 must have required property/],
    ['nope', /^\[SLU_C0003\] .* is not JSON/],
  ])('refuse %s as a schema', async (text, message) => {
    const { code, err } = await sluice('validate', rules, '--schema', file('wrong.json', text));
    expect(code).toBe(1);
    expect(err).toMatch(message);
  });

  it('print what clients get', async () => {
    const path = file('star.yaml', 'bucket_definitions:\n  g: { data: [SELECT * FROM t] }\n');
    const { code, out } = await sluice('schema', path, '--schema', source);
    expect(code).toBe(0);
    expect(out).toContain('  t: new Table({\n    valu: column.text,\n  }),\n');
    expect((await sluice('schema', path)).out).toContain('// Columns of SELECT * are missing here');
    const json = await sluice('schema', path, '--schema', source, '--lang', 'json');
    expect(JSON.parse(json.out)).toEqual({
      tables: [{ name: 't', columns: [{ name: 'valu', type: 'text' }], complete: true }],
    });
    expect((await sluice('schema')).err).toMatch(/^\[SLU_C0001\] neither/);
  });
});

describe('sluice token', () => {
  const config = (key: object) =>
    file(
      'sluice.yaml',
      JSON.stringify({
        replication: { connections: [{ type: 'postgresql', uri: 'postgresql://x@y/z' }] },
        client_auth: { audience: ['a1', 'a2'], jwks: { keys: [key] } },
      }),
    );

  it('signs with the key of the configuration', async () => {
    const path = config({ kty: 'oct', alg: 'HS512', kid: 'mine', k: Buffer.alloc(64, 1).toString('base64url') });
    const { code, out } = await sluice(
      'token',
      '--config',
      path,
      '--sub',
      'ann',
      '--ttl',
      '60',
      '--claim',
      'org=7',
      '--claim',
      'name=x y',
    );
    expect(code).toBe(0);
    const claims = decodeJwt(out.trim());
    expect(claims).toMatchObject({ sub: 'ann', aud: 'a1', org: 7, name: 'x y' });
    expect((claims.exp as number) - (claims.iat as number)).toBe(60);
    expect(decodeProtectedHeader(out.trim())).toEqual({ alg: 'HS512', kid: 'mine' });
  });

  it('says why it cannot', async () => {
    expect((await sluice('token', '--sub', 'ann')).err).toMatch(/^\[SLU_C0001\] no development server/);
    const path = config({ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' });
    expect((await sluice('token', '--sub', 'ann', '--config', path)).err).toMatch(/^\[SLU_C0008\].*no symmetric key/);
    const weak = config({ kty: 'oct', k: 'AAAA' });
    expect((await sluice('token', '--sub', 'ann', '--config', weak)).err).toMatch(/24 bits; at least 256/);
    expect((await sluice('token', '--sub', 'ann', '--ttl', 'soon')).err).toMatch(/--ttl soon is not a number/);
  });

  it('takes claims as JSON or as text', () => {
    expect(['a=1', 'b={"c":[true]}', 'd=x=y', 'e'].reduce((claims, pair) => collectClaims(pair, claims), {})).toEqual({
      a: 1,
      b: { c: [true] },
      d: 'x=y',
      e: true,
    });
  });
});

describe('sluice status and sync', () => {
  let world: HttpWorld;
  beforeAll(async () => {
    world = await HttpWorld.start();
    await world.commit([{ bucket: 'g[]', id: 'a', data: '{"id":"a","value":"hello"}' }]);
  });
  afterAll(() => world.stop());

  it('show what is going on', async () => {
    const { code, out } = await sluice('status', '--url', world.url, '--token', OPERATOR);
    expect(code).toBe(0);
    expect(out).toContain('Sluice 0.0.0-test, up');
    expect(out).toContain('Stream 1: active');
    expect(out).toContain('checkpoint op 1 at 00000002');
    const json = await sluice('status', '--json', '--url', `${world.url}/`, '--token', OPERATOR);
    expect(JSON.parse(json.out)).toMatchObject({ service: { ready: true } });
  });

  it('print rows as they come', async () => {
    const { code, out } = await sluice('sync', '--once', '--url', world.url, '--token', await tokenOf('ann'));
    expect(code).toBe(0);
    expect(out).toContain('PUT    t/a {"id":"a","value":"hello"}');
    expect(out).toContain('complete 1');
  });

  it('say why they cannot', async () => {
    expect((await sluice('status', '--url', world.url, '--token', 'wrong')).err).toMatch(
      /^\[SLU_C0009\].*status 401.*PSYNC_S2101/,
    );
    expect((await sluice('sync', '--url', 'http://127.0.0.1:9', '--token', 'x')).err).toMatch(
      /^\[SLU_C0009\] nobody answers/,
    );
    expect((await sluice('status')).err).toMatch(/^\[SLU_C0001\] --url is not given/);
  });
});
