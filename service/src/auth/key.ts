/** A JSON Web Key as we accept it, and which signature algorithms it fits. */
import { SluiceError } from '@sluice/core';
import { type CryptoKey, importJWK, type JWK } from 'jose';

export const ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

export type Algorithm = (typeof ALGORITHMS)[number];

const FAMILY: Readonly<Record<string, string>> = { oct: 'HS', RSA: 'RS', EC: 'ES', OKP: 'EdDSA' };
const CURVE: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
};
const RSA_BITS_MIN = 2048;
const HMAC_BITS_MIN = 256;

export interface VerificationKey {
  readonly kid: string | null;
  readonly kty: string;
  fits(algorithm: Algorithm): boolean;
  /** The key in the form that verification wants, for an algorithm that fits. */
  forAlgorithm(algorithm: Algorithm): Promise<CryptoKey | Uint8Array>;
}

/** Checks a key when it is loaded, so that a bad one is found then and not at a client's first request. @throws SLU_C0008 */
export async function loadKey(jwk: Readonly<Record<string, unknown>>, name: string): Promise<VerificationKey> {
  const refuse = (problem: string, cause?: unknown) =>
    new SluiceError('SLU_C0008', `${name}: ${problem}`, cause === undefined ? {} : { cause });
  const { kty, alg, kid } = jwk;
  if (typeof kty !== 'string' || !(kty in FAMILY))
    throw refuse(`kty ${JSON.stringify(kty)} is not one of oct, RSA, EC, OKP`);
  if (alg !== undefined && !isAlgorithm(alg))
    throw refuse(`alg ${JSON.stringify(alg)} is not one of ${ALGORITHMS.join(', ')}`);
  if (kid !== undefined && typeof kid !== 'string') throw refuse('kid must be text');
  const usable = ALGORITHMS.filter((algorithm) => fits(jwk, algorithm));
  const first = usable[0];
  if (first === undefined)
    throw refuse(`kty ${kty}, alg ${JSON.stringify(alg)} and crv ${JSON.stringify(jwk.crv)} do not fit together`);
  const imported = new Map<Algorithm, Promise<CryptoKey | Uint8Array>>();
  const forAlgorithm = (algorithm: Algorithm) => {
    let key = imported.get(algorithm);
    if (key === undefined) imported.set(algorithm, (key = importJWK(publicPart(jwk) as JWK, algorithm)));
    return key;
  };
  let key: CryptoKey | Uint8Array;
  try {
    key = await forAlgorithm(first);
  } catch (cause) {
    throw refuse(`the key cannot be read: ${(cause as Error).message}`, cause);
  }
  const weakness = weaknessOf(key);
  if (weakness !== null) throw refuse(weakness);
  return { kid: kid ?? null, kty, fits: (algorithm) => usable.includes(algorithm), forAlgorithm };
}

/** Private parts, if somebody configured them, are of no use here and refused by the importer for verification. */
function publicPart(jwk: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, key_ops: _ops, use: _use, ...rest } = jwk;
  return rest;
}

function weaknessOf(key: CryptoKey | Uint8Array): string | null {
  if (key instanceof Uint8Array) {
    return key.length * 8 < HMAC_BITS_MIN
      ? `the secret has ${key.length * 8} bits; at least ${HMAC_BITS_MIN} are needed`
      : null;
  }
  const bits = (key.algorithm as { modulusLength?: number }).modulusLength;
  return bits !== undefined && bits < RSA_BITS_MIN
    ? `the RSA key has ${bits} bits; at least ${RSA_BITS_MIN} are needed`
    : null;
}

function fits(jwk: Readonly<Record<string, unknown>>, algorithm: Algorithm): boolean {
  if (typeof jwk.alg === 'string') return jwk.alg === algorithm && inFamily(jwk, algorithm);
  return inFamily(jwk, algorithm);
}

function inFamily(jwk: Readonly<Record<string, unknown>>, algorithm: Algorithm): boolean {
  if (typeof jwk.crv === 'string') return CURVE[jwk.crv] === algorithm;
  return algorithm.startsWith(FAMILY[String(jwk.kty)] as string);
}

export function isAlgorithm(value: unknown): value is Algorithm {
  return ALGORITHMS.includes(value as Algorithm);
}
