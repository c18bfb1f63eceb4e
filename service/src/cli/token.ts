/** `sluice token`: a token as the app's own backend would sign it, from the same configuration as the server's. */
import { SluiceError, systemClock } from '@sluice/core';
import { SignJWT } from 'jose';
import { loadKey } from '../auth/key.ts';
import { loadConfig } from '../config/resolve.ts';
import { readDevFile } from '../dev/dev-file.ts';

export interface TokenOptions {
  readonly sub: string;
  readonly config?: string;
  readonly aud?: string;
  readonly ttl: string;
  readonly claim: Readonly<Record<string, unknown>>;
}

interface Signer {
  readonly secret: Uint8Array;
  readonly alg: string;
  readonly kid: string | undefined;
  readonly audience: string | undefined;
}

export async function token(options: TokenOptions): Promise<number> {
  const seconds = Number(options.ttl);
  if (!Number.isInteger(seconds) || seconds <= 0) {
    throw new SluiceError('SLU_C0003', `--ttl ${options.ttl} is not a number of seconds`, {
      hint: 'Give for example --ttl 3600.',
    });
  }
  const signer = options.config === undefined ? developmentSigner() : await configuredSigner(options.config);
  process.stdout.write(`${await signToken(signer, { ...options, seconds, nowMs: systemClock.now() })}\n`);
  return 0;
}

export function signToken(
  signer: Signer,
  about: {
    readonly sub: string;
    readonly aud?: string;
    readonly claim: Readonly<Record<string, unknown>>;
    readonly seconds: number;
    readonly nowMs: number;
  },
): Promise<string> {
  const now = Math.floor(about.nowMs / 1000);
  const audience = about.aud ?? signer.audience;
  const jwt = new SignJWT({ ...about.claim })
    .setProtectedHeader({ alg: signer.alg, ...(signer.kid === undefined ? {} : { kid: signer.kid }) })
    .setSubject(about.sub)
    .setIssuedAt(now)
    .setExpirationTime(now + about.seconds);
  if (audience !== undefined) jwt.setAudience(audience);
  return jwt.sign(signer.secret);
}

function developmentSigner(): Signer {
  const { secret, key_id: kid, audience } = readDevFile(process.cwd()) ?? {};
  if (secret !== undefined) return { secret: Buffer.from(secret, 'base64url'), alg: 'HS256', kid, audience };
  throw new SluiceError('SLU_C0001', 'no development server was started in this folder, and --config is not given', {
    hint: 'Give --config FILE, or run `npm start` first.',
  });
}

async function configuredSigner(file: string): Promise<Signer> {
  const { auth } = loadConfig(file, process.env);
  const jwk = auth.keys.find((each) => each.kty === 'oct');
  if (jwk === undefined) {
    throw new SluiceError('SLU_C0008', 'client_auth.jwks.keys has no symmetric key to sign with', {
      where: file,
      hint: 'Add a key with kty: oct and alg: HS256 for development, or let your backend sign the token.',
    });
  }
  const alg = typeof jwk.alg === 'string' ? jwk.alg : 'HS256';
  const key = await loadKey(jwk, 'the first oct key of client_auth.jwks');
  const secret = await key.forAlgorithm(alg as 'HS256');
  if (!(secret instanceof Uint8Array)) throw new SluiceError('SLU_X0001', 'a symmetric key is not bytes');
  return { secret, alg, kid: key.kid ?? undefined, audience: auth.audience[0] };
}
