import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { silentLogger, SluiceError, systemClock } from '@sluice/core';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fetchJson, isLocal } from './fetch-json.ts';
import { FetchLimit } from './fetch-limit.ts';
import { loadKey } from './key.ts';
import { KeyStore, type KeySource, staticKeys } from './key-store.ts';
import { RemoteKeys } from './remote-keys.ts';
import { type TokenRules, verifyToken } from './verify-token.ts';

const NOW = 1_800_000_000;
const AUDIENCE = 'https://sluice.example.org';
const secret = randomBytes(32);
const clock = { ...systemClock, now: () => NOW * 1000 };

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
let rsa: Keys;
let ec: Keys;
let ed: Keys;
let rules: TokenRules;

beforeAll(async () => {
  rsa = await generateKeyPair('RS256', { extractable: true });
  ec = await generateKeyPair('ES256', { extractable: true });
  ed = await generateKeyPair('EdDSA', { extractable: true });
  rules = await rulesWith([
    { kty: 'oct', kid: 'hs', alg: 'HS256', k: secret.toString('base64url') },
    { ...(await exportJWK(rsa.publicKey)), kid: 'rsa' },
    { ...(await exportJWK(ec.publicKey)) },
    { ...(await exportJWK(ed.publicKey)), kid: 'ed', alg: 'EdDSA' },
  ]);
});

async function rulesWith(jwks: object[], more: KeySource[] = []): Promise<TokenRules> {
  const keys = await Promise.all(jwks.map((jwk, index) => loadKey(jwk as Record<string, unknown>, `key ${index}`)));
  return {
    keys: new KeyStore([staticKeys(keys), ...more]),
    audience: [AUDIENCE, 'other'],
    lifetimeSecondsMax: 86_400,
    clock,
  };
}

const GOOD = { sub: 'ann', aud: AUDIENCE, iat: NOW - 10, exp: NOW + 3600 };

function sign(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
  key: Keys['privateKey'] | Uint8Array = secret,
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'hs', ...header }).sign(key);
}

/** A token made by hand, with any header, payload and HMAC key. */
function forge(header: object, payload: string, key: Buffer = secret): string {
  const head = Buffer.from(JSON.stringify(header)).toString('base64url');
  const body = Buffer.from(payload).toString('base64url');
  return `${head}.${body}.${createHmac('sha256', key).update(`${head}.${body}`).digest('base64url')}`;
}

async function refusal(token: string | Promise<string>, by: TokenRules = rules): Promise<string> {
  const text = await token;
  try {
    await verifyToken(text, by);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    expect(error.message).not.toContain(text.split('.')[2] || 'never');
    expect(error.status).toBe(401);
    return `${error.code} ${error.message}`;
  }
  return 'accepted';
}

describe('a token', () => {
  it('of each family is accepted, by its kid or without', async () => {
    expect(await refusal(sign(GOOD))).toBe('accepted');
    expect(await refusal(sign(GOOD, { alg: 'RS256', kid: 'rsa' }, rsa.privateKey))).toBe('accepted');
    expect(
      await refusal(
        sign(
          GOOD,
          { alg: 'RS512', kid: 'rsa' },
          await (async () => {
            const { importJWK } = await import('jose');
            return (await importJWK(await exportJWK(rsa.privateKey), 'RS512')) as Keys['privateKey'];
          })(),
        ),
      ),
    ).toBe('accepted');
    expect(await refusal(sign(GOOD, { alg: 'ES256', kid: 'unknown' }, ec.privateKey))).toBe('accepted');
    expect(await refusal(sign(GOOD, { alg: 'EdDSA', kid: 'ed' }, ed.privateKey))).toBe('accepted');
  });

  it('becomes a session', async () => {
    const session = await verifyToken(await sign({ ...GOOD, parameters: { org: 1 }, aud: ['x', 'other'] }), rules);
    expect(session).toMatchObject({
      userId: 'ann',
      expiresAtMs: (NOW + 3600) * 1000,
      payload: { parameters: { org: 1 } },
    });
    const users = await Promise.all(
      [7, true, false, 1.5, 'x y'].map(
        async (sub) =>
          (await verifyToken(forge({ alg: 'HS256', kid: 'hs' }, JSON.stringify({ ...GOOD, sub })), rules)).userId,
      ),
    );
    expect(users).toEqual(['7', '1', '0', '1.5', 'x y']);
  });

  it('has sixty seconds of grace around exp and nbf', async () => {
    expect(await refusal(sign({ ...GOOD, exp: NOW - 59 }))).toBe('accepted');
    expect(await refusal(sign({ ...GOOD, exp: NOW - 60 }))).toBe('PSYNC_S2103 the token has expired: exp was 60 s ago');
    expect(await refusal(sign({ ...GOOD, nbf: NOW + 60 }))).toBe('accepted');
    expect(await refusal(sign({ ...GOOD, nbf: NOW + 61 }))).toBe(
      'PSYNC_S2101 the token is not valid before nbf: 61 s from now',
    );
    expect(await refusal(sign({ ...GOOD, iat: NOW + 60 }))).toBe('accepted');
    expect(await refusal(sign({ ...GOOD, iat: NOW + 3000 }))).toBe(
      'PSYNC_S2101 the claim iat lies in the future: 3000 s from now',
    );
  });

  it('lives a day at most, by its own claims', async () => {
    expect(await refusal(sign({ ...GOOD, iat: NOW, exp: NOW + 86_400 }))).toBe('accepted');
    expect(await refusal(sign({ ...GOOD, iat: NOW, exp: NOW + 86_401 }))).toBe(
      'PSYNC_S2104 the token lives 86401 s from iat to exp; at most 86400 s are allowed',
    );
  });

  it.each([
    ['without sub', { sub: undefined }, 'PSYNC_S2101 the claim sub is missing'],
    ['with a null sub', { sub: null }, 'PSYNC_S2101 the claim sub is missing'],
    ['without iat', { iat: undefined }, 'PSYNC_S2101 the claim iat is missing'],
    ['without exp', { exp: undefined }, 'PSYNC_S2101 the claim exp is missing'],
    ['with exp as text', { exp: '1900000000' }, 'PSYNC_S2101 the claim exp must be a number of seconds, not a string'],
    ['with an endless exp', { exp: 1e20 }, 'PSYNC_S2104'],
    ['without aud', { aud: undefined }, `PSYNC_S2105 the claim aud is missing; accepted: "${AUDIENCE}", "other"`],
    ['with another aud', { aud: 'x' }, `PSYNC_S2105 the claim aud is "x"; accepted: "${AUDIENCE}", "other"`],
    ['with a prefix of an aud', { aud: AUDIENCE.slice(0, -1) }, 'PSYNC_S2105'],
    ['with an aud in other case', { aud: AUDIENCE.toUpperCase() }, 'PSYNC_S2105'],
    ['with an empty list of aud', { aud: [] }, 'PSYNC_S2105'],
    ['with an aud that is no text', { aud: { other: 1 } }, 'PSYNC_S2105'],
    [
      'with parameters as a list',
      { parameters: [1] },
      'PSYNC_S2101 the claim parameters must be an object, not a list',
    ],
  ])('%s is refused', async (_, change, message) => {
    expect(await refusal(forge({ alg: 'HS256', kid: 'hs' }, JSON.stringify({ ...GOOD, ...change })))).toContain(
      message,
    );
  });

  it('is expired before it is anything else that its claims are', async () => {
    expect(await refusal(sign({ ...GOOD, exp: NOW - 999, aud: 'x' }))).toContain('PSYNC_S2103');
    expect(await refusal(sign({ ...GOOD, aud: 'x', iat: NOW, exp: NOW + 999_999 }))).toContain('PSYNC_S2105');
  });

  it('is not accepted from an empty list of audiences', async () => {
    expect(await refusal(sign(GOOD), { ...rules, audience: [] })).toContain('client_auth.audience is empty');
  });

  it.each(['none', 'None', 'NONE', 'nOnE', 'PS256', 'HS1', 'RSA-OAEP', '', 'hs256'])(
    'with alg %j is refused',
    async (alg) => {
      expect(await refusal(forge({ alg, kid: 'hs' }, JSON.stringify(GOOD)))).toMatch(
        /^PSYNC_S2101 alg ".*" is not accepted/,
      );
      const [head, body] = forge({ alg, kid: 'hs' }, JSON.stringify(GOOD)).split('.');
      expect(await refusal(`${head}.${body}.`)).toMatch(/^PSYNC_S2101/);
    },
  );

  it('signed with a public key as if it were a secret is refused', async () => {
    const jwk = await exportJWK(rsa.publicKey);
    for (const key of [JSON.stringify(jwk), String(jwk.n)]) {
      expect(await refusal(forge({ alg: 'HS256', kid: 'rsa' }, JSON.stringify(GOOD), Buffer.from(key)))).toBe(
        'PSYNC_S2101 the key with kid "rsa" (RSA) does not fit alg HS256',
      );
      expect(await refusal(forge({ alg: 'HS256' }, JSON.stringify(GOOD), Buffer.from(key)))).toBe(
        "PSYNC_S2101 there is no key without kid for alg HS256, and the token's header names none",
      );
    }
  });

  it('names the key that is missing or does not fit', async () => {
    expect(await refusal(sign(GOOD, { kid: 'nobody' }))).toBe(
      'PSYNC_S2101 there is no key with kid "nobody", and none without kid for alg HS256',
    );
    expect(await refusal(sign(GOOD, {}, randomBytes(32)))).toBe(
      'PSYNC_S2101 the signature does not fit the key with kid "hs"',
    );
    const other = await generateKeyPair('ES256');
    expect(await refusal(sign(GOOD, { alg: 'ES256', kid: undefined }, other.privateKey))).toBe(
      'PSYNC_S2101 the signature fits none of the 1 keys without kid for alg ES256',
    );
  });

  it.each([
    ['nothing', ''],
    ['a word', 'abc'],
    ['two parts', 'abc.def'],
    ['five parts, an encrypted token', `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.a.b.c.d`],
    ['a header that is no JSON', 'YWJj.e30.AA'],
    ['claims that are no JSON', forge({ alg: 'HS256', kid: 'hs' }, 'abc')],
    ['claims that are a list', forge({ alg: 'HS256', kid: 'hs' }, '[]')],
    ['a critical extension', forge({ alg: 'HS256', kid: 'hs', crit: ['b64'], b64: false }, JSON.stringify(GOOD))],
    ['a kid that is a number', forge({ alg: 'HS256', kid: 7 }, JSON.stringify(GOOD))],
    [
      'a signature of zeros',
      `${forge({ alg: 'ES256' }, JSON.stringify(GOOD)).split('.').slice(0, 2).join('.')}.${Buffer.alloc(64).toString('base64url')}`,
    ],
    ['an embedded key', forge({ alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } }, JSON.stringify(GOOD), Buffer.alloc(3))],
  ])('that is %s is refused', async (_, token) => {
    expect(await refusal(token)).toMatch(/^PSYNC_S2101 /);
  });
});

describe('a key', () => {
  const refused = async (jwk: object) => {
    const error = await loadKey(jwk as Record<string, unknown>, 'keys[0]').then(
      () => null,
      (thrown: unknown) => thrown as SluiceError,
    );
    return `${error?.code} ${error?.message}`;
  };

  it.each([
    [
      'a weak secret',
      { kty: 'oct', k: randomBytes(31).toString('base64url') },
      'the secret has 248 bits; at least 256 are needed',
    ],
    ['an unknown type', { kty: 'XYZ' }, 'kty "XYZ" is not one of oct, RSA, EC, OKP'],
    ['an unknown algorithm', { kty: 'RSA', alg: 'PS256' }, 'alg "PS256" is not one of'],
    ['an algorithm of another family', { kty: 'oct', alg: 'RS256', k: 'AAAA' }, 'do not fit together'],
    ['parts that are missing', { kty: 'RSA', n: 'AQAB' }, 'the key cannot be read'],
    ['a curve we do not have', { kty: 'EC', crv: 'secp256k1' }, 'do not fit together'],
  ])('with %s is refused when it is loaded', async (_, jwk, message) => {
    expect(await refused(jwk)).toContain(`SLU_C0008 keys[0]: `);
    expect(await refused(jwk)).toContain(message);
  });

  it('of 1024 bits is refused', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    expect(await refused(weak)).toContain('the RSA key has 1024 bits; at least 2048 are needed');
  });
});

describe('a remote key set', () => {
  let server: Server;
  let answer: { status: number; body: string; headers?: Record<string, string> };
  let requests = 0;
  let uri = '';

  beforeAll(async () => {
    server = createServer((_, response) => {
      requests++;
      response.writeHead(answer.status, answer.headers ?? {}).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    uri = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/keys`;
    return () => server.close();
  });
  afterEach(() => {
    requests = 0;
  });

  function remote(localAllowed = true): RemoteKeys {
    return new RemoteKeys({ uri, localAllowed, clock: systemClock, logger: silentLogger });
  }

  it('gives its asymmetric signing keys, whatever else it holds', async () => {
    const good = { ...(await exportJWK(ec.publicKey)), kid: 'remote', use: 'sig' };
    const keys = [
      { kty: 'oct', k: secret.toString('base64url'), kid: 'hs-remote' },
      { kty: 'RSA', n: '!!' },
      null,
      { ...good, kid: 'enc', use: 'enc' },
      { ...good, kid: 'sign-only', key_ops: ['sign'] },
      good,
    ];
    answer = { status: 200, body: JSON.stringify({ keys }) };
    const by = await rulesWith([], [remote()]);
    expect(await refusal(sign(GOOD, { alg: 'ES256', kid: 'remote' }, ec.privateKey), by)).toBe('accepted');
    expect(await refusal(sign(GOOD, { alg: 'HS256', kid: 'hs-remote' }), by)).toContain(
      'there is no key with kid "hs-remote"',
    );
    expect(await refusal(sign(GOOD, { alg: 'ES256', kid: 'enc' }, ec.privateKey), by)).toContain(
      'no key with kid "enc"',
    );
    expect(await refusal(sign(GOOD, { alg: 'ES256', kid: 'sign-only' }, ec.privateKey), by)).toContain('no key');
  });

  it.each([
    ['an error', { status: 500, body: 'canary' }, 'answered with status 500'],
    [
      'a redirect',
      { status: 302, body: '', headers: { location: 'http://127.0.0.1:1/' } },
      'redirects are not followed',
    ],
    ['no JSON', { status: 200, body: 'canary' }, 'did not answer with JSON'],
    ['no key set', { status: 200, body: '{"a":"canary"}' }, 'did not answer with a key set'],
    ['too much', { status: 200, body: ' '.repeat(70_000) }, 'more than 65536 bytes'],
  ])('that answers with %s is named, without what it said', async (_, response, message) => {
    answer = response;
    const by = await rulesWith([], [remote()]);
    const said = await refusal(sign(GOOD, { alg: 'ES256', kid: 'x' }, ec.privateKey), by);
    expect(said).toMatch(/^PSYNC_S2204 the key set could not be fetched: /);
    expect(said).toContain(message);
    expect(said).not.toContain('canary');
  });

  it('is not hammered by forged key ids', async () => {
    answer = { status: 200, body: JSON.stringify({ keys: [{ ...(await exportJWK(ec.publicKey)), kid: 'real' }] }) };
    const by = await rulesWith([], [remote()]);
    for (let index = 0; index < 300; index++)
      await refusal(sign(GOOD, { alg: 'ES256', kid: `forged-${index}` }, ec.privateKey), by);
    expect(requests).toBeLessThanOrEqual(2);
    expect(await refusal(sign(GOOD, { alg: 'ES256', kid: 'real' }, ec.privateKey), by)).toBe('accepted');
  });

  it('is not fetched from a local address where that is blocked', async () => {
    answer = { status: 200, body: '{"keys":[]}' };
    const bounds = { bytesMax: 1000, timeoutMs: 1000, localAllowed: false };
    const { port } = new URL(uri);
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '017700000001',
      '[::1]',
      '[::ffff:127.0.0.1]',
      'localhost',
      '0.0.0.0',
      'u:p@127.0.0.1',
    ]) {
      await expect(fetchJson(`http://${host}:${port}/keys`, bounds), host).rejects.toThrow(/local address/);
    }
    await expect(fetchJson('file:///etc/passwd', bounds)).rejects.toThrow('file: is not supported');
    expect(requests).toBe(0);
    for (const address of [
      '10.1.2.3',
      '169.254.169.254',
      '172.31.0.1',
      '192.168.0.1',
      'fe80::1',
      'fd00::1',
      '::ffff:10.0.0.1',
    ]) {
      expect(isLocal(address), address).toBe(true);
    }
    for (const address of ['93.184.216.34', '172.32.0.1', '2606:4700::1111'])
      expect(isLocal(address), address).toBe(false);
  });
});

describe('the limit of fetches', () => {
  it('lets a few through, further and further apart, and recovers', () => {
    let now = 0;
    const limit = new FetchLimit({ ...systemClock, monotonic: () => now });
    const times: number[] = [];
    for (; now < 600_000; now += 100) if (limit.take()) times.push(now);
    expect(times[0]).toBe(0);
    expect(times[1]).toBeGreaterThanOrEqual(600);
    expect(times[1]).toBeLessThanOrEqual(700);
    expect(times.filter((time) => time < 60_000).length).toBeLessThanOrEqual(8);
    expect(times.length).toBeLessThanOrEqual(20);
    now += 600_000;
    expect(limit.take()).toBe(true);
  });
});
