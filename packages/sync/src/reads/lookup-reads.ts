/** Lookups as of a checkpoint. What the connections of a process ask for at once is read at once, each key once. */
import type { OpId } from '@sluice/core';
import type { StreamReader } from '@sluice/storage';
import { TurnBatches } from './turn-batches.ts';

const READ_KEYS_MAX = 2_000;

export class LookupReads {
  readonly #reads: TurnBatches<readonly string[]>;

  constructor(reader: Pick<StreamReader, 'lookups'>) {
    this.#reads = new TurnBatches(async (opId, keys) => {
      const values = await reader.lookups(opId, keys);
      return new Map(keys.map((key, index) => [key, values[index] ?? []]));
    }, READ_KEYS_MAX);
  }

  /** For each key, the values of all source rows that have it. */
  async at(opId: OpId, keys: readonly string[]): Promise<readonly (readonly string[])[]> {
    const found = await this.#reads.ask(opId, keys);
    return keys.map((key) => found.get(key) ?? []);
  }
}
