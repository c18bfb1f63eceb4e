/**
 * Blocks of index journals in memory, for all tables of an open database; those that were asked for last. A block never
 * changes, and no id comes twice, not even of a transaction that was undone: whoever knows an id, from what is stored, may
 * use what is found under it.
 */
import { randomBytes } from 'node:crypto';
import { ByteSpace } from '@sluice/core';
import type { Schema } from '../schema.ts';

const BYTES_MAX = 64 * 2 ** 20;

export class BlockCache {
  readonly #opened = randomBytes(9).toString('base64url');
  readonly #blocks = new Map<string, ByteSpace>();
  readonly #bytesMax: number;
  #bytes = 0;
  #ids = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  nextId(): string {
    return `${this.#opened}.${++this.#ids}`;
  }

  get(id: string, load: () => Buffer): ByteSpace {
    const known = this.#blocks.get(id);
    if (known === undefined) return this.put(id, load());
    this.#blocks.delete(id);
    this.#blocks.set(id, known);
    return known;
  }

  put(id: string, bytes: Buffer): ByteSpace {
    const block = new ByteSpace(bytes);
    this.#blocks.set(id, block);
    this.#bytes += bytes.length;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.forget(oldest);
    }
    return block;
  }

  forget(id: string): void {
    this.#bytes -= this.#blocks.get(id)?.bytes.length ?? 0;
    this.#blocks.delete(id);
  }
}

const caches = new WeakMap<Schema, BlockCache>();

export function blockCacheOf(schema: Schema): BlockCache {
  let cache = caches.get(schema);
  if (cache === undefined) caches.set(schema, (cache = new BlockCache(BYTES_MAX)));
  return cache;
}
