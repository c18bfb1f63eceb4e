/** All key sources of a service, in the order of the configuration. */
import type { SluiceError } from '@sluice/core';
import type { Algorithm, VerificationKey } from './key.ts';

export interface KeySource {
  /** Keys as they are known now. May wait for a first fetch. */
  keys(): Promise<readonly VerificationKey[]>;
  /** Why keys may be missing; null if the source is well. */
  readonly problem: SluiceError | null;
  /** A token named a key that nobody has: look again, in the background. */
  refresh(): void;
}

export function staticKeys(keys: readonly VerificationKey[]): KeySource {
  return { keys: async () => keys, problem: null, refresh() {} };
}

export interface Candidates {
  readonly keys: readonly VerificationKey[];
  /** The key is the one that the token names; its algorithm was not looked at. */
  readonly named: boolean;
}

export class KeyStore {
  readonly #sources: readonly KeySource[];

  constructor(sources: readonly KeySource[]) {
    this.#sources = sources;
  }

  /** A token's key, if it names one that exists; otherwise all nameless keys that fit. */
  async candidates(kid: string | undefined, algorithm: Algorithm): Promise<Candidates> {
    const all = (await Promise.all(this.#sources.map((source) => source.keys()))).flat();
    if (kid !== undefined) {
      const named = all.filter((key) => key.kid === kid);
      if (named.length > 0) return { keys: named, named: true };
    }
    return { keys: all.filter((key) => key.kid === null && key.fits(algorithm)), named: false };
  }

  /** Nothing fitted. @returns the error of a source that could not be read, if that may be why */
  missed(): SluiceError | null {
    for (const source of this.#sources) source.refresh();
    for (const source of this.#sources) if (source.problem !== null) return source.problem;
    return null;
  }
}
