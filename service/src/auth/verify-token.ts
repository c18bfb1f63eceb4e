/**
 * From a JWT to a session. Every refusal names the claim or key that did not fit, what was expected and what came; never
 * the token.
 */
import { type Clock, SluiceError } from '@sluice/core';
import type { Session } from '@sluice/sync';
import { compactVerify, decodeProtectedHeader, errors, type ProtectedHeaderParameters } from 'jose';
import { ALGORITHMS, isAlgorithm, type Algorithm, type VerificationKey } from './key.ts';
import type { KeyStore } from './key-store.ts';

export interface TokenRules {
  readonly keys: KeyStore;
  readonly audience: readonly string[];
  readonly lifetimeSecondsMax: number;
  readonly clock: Clock;
}

const TOLERANCE_SECONDS = 60;

type Claims = Readonly<Record<string, unknown>>;

/** @throws PSYNC_S2101, S2103, S2104, S2105, S2204 */
export async function verifyToken(token: string, rules: TokenRules): Promise<Session> {
  const header = readHeader(token);
  const claims = readClaims(await verifySignature(token, header, rules.keys));
  const now = rules.clock.now() / 1000;
  const { userId, exp, iat } = checkPresence(claims);
  checkTime(claims, { now, exp, iat });
  checkAudience(claims.aud, rules.audience);
  if (exp - iat > rules.lifetimeSecondsMax) {
    throw new SluiceError(
      'PSYNC_S2104',
      `the token lives ${Math.round(exp - iat)} s from iat to exp; at most ${rules.lifetimeSecondsMax} s are allowed`,
    );
  }
  const { parameters } = claims;
  if (
    parameters !== undefined &&
    (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters))
  ) {
    throw invalid(`the claim parameters must be an object, not ${kindOf(parameters)}`);
  }
  return { userId, payload: claims, expiresAtMs: exp * 1000 };
}

interface Header {
  readonly alg: Algorithm;
  readonly kid: string | undefined;
}

function readHeader(token: string): Header {
  let header: ProtectedHeaderParameters;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw invalid('the token is not a JWT: its header cannot be read');
  }
  if (token.split('.').length !== 3) throw invalid('the token is not a signed JWT of three parts');
  const { alg, kid, crit } = header;
  if (!isAlgorithm(alg)) throw invalid(`alg ${quoted(alg)} is not accepted; use one of ${ALGORITHMS.join(', ')}`);
  if (kid !== undefined && typeof kid !== 'string') throw invalid('kid in the header must be text');
  if (crit !== undefined) throw invalid('the header extension crit is not supported');
  return { alg, kid };
}

async function verifySignature(token: string, header: Header, store: KeyStore): Promise<Uint8Array> {
  const { alg, kid } = header;
  const { keys, named } = await store.candidates(kid, alg);
  const misfit = named ? keys.find((key) => !key.fits(alg)) : undefined;
  if (misfit !== undefined) throw invalid(`the key with kid ${quoted(kid)} (${misfit.kty}) does not fit alg ${alg}`);
  for (const key of keys) {
    const payload = await tryKey(token, key, alg);
    if (payload !== null) return payload;
  }
  if (named) throw invalid(`the signature does not fit the key with kid ${quoted(kid)}`);
  const problem = store.missed();
  if (problem !== null) throw problem;
  if (keys.length > 0) throw invalid(`the signature fits none of the ${keys.length} keys without kid for alg ${alg}`);
  throw invalid(
    kid === undefined
      ? `there is no key without kid for alg ${alg}, and the token's header names none`
      : `there is no key with kid ${quoted(kid)}, and none without kid for alg ${alg}`,
  );
}

/** @returns null if the signature does not fit */
async function tryKey(token: string, key: VerificationKey, alg: Algorithm): Promise<Uint8Array | null> {
  try {
    return (await compactVerify(token, await key.forAlgorithm(alg), { algorithms: [alg] })).payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return null;
    if (error instanceof errors.JOSEError) throw invalid(`the token is not a valid JWS: ${error.code}`);
    throw error;
  }
}

function readClaims(payload: Uint8Array): Claims {
  let claims: unknown;
  try {
    claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    throw invalid('the claims are not JSON');
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw invalid(`the claims must be an object, not ${kindOf(claims)}`);
  }
  return claims as Claims;
}

function checkPresence(claims: Claims): { userId: string; exp: number; iat: number } {
  if (claims.sub === undefined || claims.sub === null) throw invalid('the claim sub is missing');
  return { userId: userId(claims.sub), iat: seconds(claims, 'iat'), exp: seconds(claims, 'exp') };
}

/** Booleans count as numbers, as they do in sync rules. */
function userId(sub: unknown): string {
  if (typeof sub === 'boolean') return sub ? '1' : '0';
  return typeof sub === 'string' ? sub : JSON.stringify(sub);
}

function seconds(claims: Claims, name: string): number {
  const value = claims[name];
  if (value === undefined) throw invalid(`the claim ${name} is missing`);
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw invalid(`the claim ${name} must be a number of seconds, not ${kindOf(value)}`);
  }
  return value;
}

function checkTime(claims: Claims, { now, exp, iat }: { now: number; exp: number; iat: number }): void {
  if (claims.nbf !== undefined) {
    const nbf = seconds(claims, 'nbf');
    if (nbf > now + TOLERANCE_SECONDS) throw invalid(`the token is not valid before nbf: ${away(nbf - now)} from now`);
  }
  if (iat > now + TOLERANCE_SECONDS) throw invalid(`the claim iat lies in the future: ${away(iat - now)} from now`);
  if (exp <= now - TOLERANCE_SECONDS) {
    throw new SluiceError('PSYNC_S2103', `the token has expired: exp was ${away(now - exp)} ago`);
  }
}

function checkAudience(aud: unknown, accepted: readonly string[]): void {
  const expected = accepted.length === 0 ? 'none: client_auth.audience is empty' : accepted.map(quoted).join(', ');
  if (aud === undefined) {
    throw new SluiceError('PSYNC_S2105', `the claim aud is missing; accepted: ${expected}`);
  }
  const given: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (given.some((each) => typeof each === 'string' && accepted.includes(each))) return;
  throw new SluiceError('PSYNC_S2105', `the claim aud is ${given.map(quoted).join(', ')}; accepted: ${expected}`);
}

function away(difference: number): string {
  return `${Math.round(difference)} s`;
}

/** A value from a token in a message: bounded, and in one line. */
function quoted(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 100) : value)?.slice(0, 120) ?? 'absent';
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

function invalid(message: string): SluiceError {
  return new SluiceError('PSYNC_S2101', message);
}
