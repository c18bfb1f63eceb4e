/**
 * Reads that are asked for in the same turn of the event loop become one. A checkpoint wakes many connections at once,
 * and they ask for much the same: one call for all of them costs storage, and its network, one round trip.
 */
import { nextTurn } from '@sluice/core';

interface Batch<V> {
  /** Only what is asked as of the same checkpoint can be read together. */
  readonly asOf: number;
  readonly keys: Set<string>;
  readonly values: Promise<ReadonlyMap<string, V>>;
  /** Whether its read is still to begin, so that more keys may join. */
  open: boolean;
}

export class TurnBatches<V> {
  readonly #read: (asOf: number, keys: readonly string[]) => Promise<ReadonlyMap<string, V>>;
  readonly #keysMax: number;
  readonly #batches = new Set<Batch<V>>();

  /** @param read answers what it has; keys that are left out have nothing */
  constructor(read: (asOf: number, keys: readonly string[]) => Promise<ReadonlyMap<string, V>>, keysMax: number) {
    this.#read = read;
    this.#keysMax = keysMax;
  }

  /** What there is for the keys; joins a read that is under way, if it asks for the key. */
  async ask(asOf: number, keys: readonly string[]): Promise<ReadonlyMap<string, V>> {
    const waiting = new Map<Batch<V>, string[]>();
    for (const key of keys) {
      const batch = this.#batchFor(asOf, key);
      const own = waiting.get(batch);
      if (own === undefined) waiting.set(batch, [key]);
      else own.push(key);
    }
    const found = new Map<string, V>();
    for (const [batch, own] of waiting) {
      const values = await batch.values;
      for (const key of own) {
        const value = values.get(key);
        if (value !== undefined) found.set(key, value);
      }
    }
    return found;
  }

  #batchFor(asOf: number, key: string): Batch<V> {
    let open: Batch<V> | null = null;
    for (const batch of this.#batches) {
      if (batch.asOf !== asOf) continue;
      if (batch.keys.has(key)) return batch;
      if (batch.open && batch.keys.size < this.#keysMax) open = batch;
    }
    open ??= this.#begin(asOf);
    open.keys.add(key);
    return open;
  }

  #begin(asOf: number): Batch<V> {
    const batch: Batch<V> = { asOf, keys: new Set(), open: true, values: nextTurn().then(() => this.#run(batch)) };
    // Who waits sees the error; if all who waited are gone, nobody needs to.
    batch.values.catch(() => {});
    this.#batches.add(batch);
    return batch;
  }

  async #run(batch: Batch<V>): Promise<ReadonlyMap<string, V>> {
    batch.open = false;
    try {
      return await this.#read(batch.asOf, [...batch.keys]);
    } finally {
      this.#batches.delete(batch);
    }
  }
}
