/**
 * A key set behind a URI. Requests drive it: older than five minutes, it is fetched again in the background while the
 * cached keys serve on; older than an hour, they are dropped and the request waits a little.
 */
import { type Clock, type Logger, SluiceError } from '@sluice/core';
import { fetchJson } from './fetch-json.ts';
import { FetchLimit } from './fetch-limit.ts';
import { loadKey, type VerificationKey } from './key.ts';
import type { KeySource } from './key-store.ts';

export interface RemoteKeysOptions {
  readonly uri: string;
  readonly localAllowed: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const REFRESH_MS = 5 * 60_000;
const KEEP_MS = 60 * 60_000;
const WAIT_MS = 3_000;
const BOUNDS = { bytesMax: 64 * 1024, timeoutMs: 5_000 };
/** Symmetric keys never come from a URI: whoever can read it could sign. */
const ASYMMETRIC = new Set(['RSA', 'EC', 'OKP']);

export class RemoteKeys implements KeySource {
  readonly #options: RemoteKeysOptions;
  readonly #limit: FetchLimit;
  #keys: readonly VerificationKey[] = [];
  #fetchedAtMs = -Infinity;
  #fetching: Promise<void> | null = null;
  #problem: SluiceError | null = null;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
    this.#limit = new FetchLimit(options.clock);
  }

  get problem(): SluiceError | null {
    return this.#problem;
  }

  refresh(): void {
    if (this.#fetching !== null || !this.#limit.take()) return;
    this.#fetching = this.#fetch().finally(() => {
      this.#fetching = null;
    });
  }

  async keys(): Promise<readonly VerificationKey[]> {
    const age = this.#options.clock.monotonic() - this.#fetchedAtMs;
    if (age > KEEP_MS) this.#keys = [];
    if (age > REFRESH_MS) this.refresh();
    if (age > KEEP_MS && this.#fetching !== null) await this.#atMost(this.#fetching);
    return this.#keys;
  }

  #atMost(fetching: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.timer(WAIT_MS, resolve);
      void fetching.then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Never rejects: a failure keeps the old keys and is told to who misses one. */
  async #fetch(): Promise<void> {
    const { uri, localAllowed, clock, logger } = this.#options;
    try {
      const document = (await fetchJson(uri, { ...BOUNDS, localAllowed })) as { keys?: unknown };
      if (!Array.isArray(document?.keys)) throw new Error('did not answer with a key set');
      this.#keys = await this.#usable(document.keys);
      this.#fetchedAtMs = clock.monotonic();
      this.#problem = null;
    } catch (cause) {
      const { message } = cause as Error;
      this.#problem = new SluiceError('PSYNC_S2204', `the key set could not be fetched: ${message}`, { cause });
      logger.warn({ code: 'PSYNC_S2204', uri: withoutSecrets(uri) }, `The key set could not be fetched: ${message}`);
    }
  }

  /** One malformed key must not discard the others. */
  async #usable(documents: readonly unknown[]): Promise<readonly VerificationKey[]> {
    const keys: VerificationKey[] = [];
    for (const [index, document] of documents.entries()) {
      const jwk = (document ?? {}) as Record<string, unknown>;
      if (!ASYMMETRIC.has(String(jwk.kty)) || !forSignatures(jwk)) continue;
      try {
        keys.push(await loadKey(jwk, `key ${index}`));
      } catch (error) {
        this.#options.logger.warn(
          { uri: withoutSecrets(this.#options.uri) },
          `A key is left out: ${(error as Error).message}`,
        );
      }
    }
    return keys;
  }
}

function forSignatures(jwk: Readonly<Record<string, unknown>>): boolean {
  if (jwk.use !== undefined && jwk.use !== 'sig') return false;
  return !Array.isArray(jwk.key_ops) || jwk.key_ops.includes('verify');
}

function withoutSecrets(uri: string): string {
  const url = new URL(uri);
  return `${url.protocol}//${url.host}${url.pathname}`;
}
