/**
 * The pages of a record index: a page holds the entries of all hashes that begin with its prefix, sorted, and is cut in
 * two when it is full.
 */
import { ByteSpace, copyBytes, type StreamId, type TableId } from '@sluice/core';
import type { HashFilter } from './hash-filter.ts';
import { hashAt, lowerBound, type NewEntries, nextAbove, numberAt, numbersOf, putEntry } from './index-entries.ts';
import { ENTRY_BYTES, INDEX_LIMITS } from './index-limits.ts';
import { indexKey } from '../keys.ts';
import type { Schema } from '../schema.ts';
import { getTableSpace, putTableSpace } from '../tables.ts';

const DEPTH_MAX = 32;
const EMPTY = Buffer.alloc(0);

/** The entries of all hashes whose first `depth` bits are `prefix`. */
interface Page {
  readonly depth: number;
  readonly prefix: number;
  readonly bytes: Buffer;
}

/** Asked of an entry whose hash is there already, with the numbers it leads to. */
export type IsKnown = (at: number, found: readonly number[]) => boolean;

export class IndexPages {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #table: TableId;
  /** Of the deepest page. */
  #depth = 0;
  #count = 1;

  constructor(schema: Schema, stream: StreamId, table: TableId) {
    this.#schema = schema;
    this.#stream = stream;
    this.#table = table;
    this.refresh();
  }

  get count(): number {
    return this.#count;
  }

  /** What other writers may have changed. */
  refresh(): void {
    const { indexDepth, indexPages } = getTableSpace(this.#schema, this.#stream, this.#table);
    this.#depth = indexDepth;
    this.#count = indexPages ?? 2 ** indexDepth;
  }

  find(hash: number): number[] {
    const { bytes } = this.#locate(hash);
    return numbersOf(viewOf(bytes), hash, 0, bytes.length);
  }

  /** @returns false if there is no such entry */
  remove(hash: number, number: number): boolean {
    const page = kept(this.#locate(hash));
    const { length } = page.bytes;
    const { view } = oldPage;
    for (let at = lowerBound(view, hash, 0, length); at < length && hashAt(view, at) === hash; at += ENTRY_BYTES) {
      if (numberAt(view, at) !== number) continue;
      const rest = Buffer.concat([page.bytes.subarray(0, at), page.bytes.subarray(at + ENTRY_BYTES)]);
      this.#put({ ...page, bytes: rest });
      return true;
    }
    return false;
  }

  /**
   * Calls back for all entries that have a hash which is there.
   * @param learning is taught the pages that are read
   */
  meet(
    hashes: Uint32Array,
    met: (at: number, found: readonly number[]) => void,
    learning: HashFilter | null = null,
  ): void {
    let from = 0;
    while (from < hashes.length) {
      const page = this.#locate(hashes[from] as number);
      const last = lastHash(page);
      const { length } = page.bytes;
      const view = viewOf(page.bytes);
      if (learning !== null) {
        learning.addEntries(view, 0, length);
        learning.markKnown(firstHash(page), last);
      }
      let read = 0;
      for (; from < hashes.length && (hashes[from] as number) <= last; from++) {
        const hash = hashes[from] as number;
        read = lowerBound(view, hash, read, length);
        if (read < length && hashAt(view, read) === hash) met(from, numbersOf(view, hash, read, length));
      }
    }
  }

  /**
   * Adds entries page by page.
   * @param isKnown those that are known are left out
   */
  insert({ hashes, numbers }: NewEntries, isKnown: IsKnown): void {
    const [depth, count] = [this.#depth, this.#count];
    let from = 0;
    while (from < hashes.length) {
      const page = kept(this.#locate(hashes[from] as number));
      const last = lastHash(page);
      let to = from + 1;
      while (to < hashes.length && (hashes[to] as number) <= last) to++;
      this.#putAll(merge(page, { hashes, numbers, from, to }, isKnown));
      from = to;
    }
    if (this.#depth === depth && this.#count === count) return;
    const space = getTableSpace(this.#schema, this.#stream, this.#table);
    const next = { ...space, indexDepth: this.#depth, indexPages: this.#count };
    putTableSpace(this.#schema, this.#stream, this.#table, next);
  }

  /** Looks from the deepest pages upwards: most are there, or one above. The bytes are valid until the next read. */
  #locate(hash: number): Page {
    for (let depth = this.#depth; depth >= 0; depth--) {
      const prefix = prefixOf(hash, depth);
      const bytes = this.#schema.index.getBinaryFast(indexKey(this.#stream, this.#table, depth, prefix));
      if (bytes !== undefined) return { depth, prefix, bytes };
    }
    return { depth: 0, prefix: 0, bytes: EMPTY };
  }

  /** Stores a page, in parts if it is too large. */
  #putAll(page: Page): void {
    if (page.bytes.length <= this.#schema.indexLimits.pageBytes || page.depth === DEPTH_MAX) {
      this.#put(page);
      return;
    }
    if (page.bytes.length > 0)
      this.#schema.index.removeSync(indexKey(this.#stream, this.#table, page.depth, page.prefix));
    const depth = page.depth + 1;
    this.#depth = Math.max(this.#depth, depth);
    this.#count++;
    const right: Page = { depth, prefix: page.prefix * 2 + 1, bytes: EMPTY };
    const cut = lowerBound(viewOf(page.bytes), firstHash(right), 0, page.bytes.length);
    this.#putAll({ depth, prefix: page.prefix * 2, bytes: page.bytes.subarray(0, cut) });
    this.#putAll({ ...right, bytes: page.bytes.subarray(cut) });
  }

  /** An empty page is stored too: without it, hashes below it would be looked for above. */
  #put({ depth, prefix, bytes }: Page): void {
    this.#schema.index.putSync(indexKey(this.#stream, this.#table, depth, prefix), bytes);
  }
}

interface Batch extends NewEntries {
  readonly from: number;
  readonly to: number;
}

/** Two pages of memory: the one that is read and the one that is made of it, which LMDB copies when it is put. */
let oldPage = spaceOf(INDEX_LIMITS.pageBytes);
let newPage = spaceOf(2 * INDEX_LIMITS.pageBytes);

function spaceOf(bytes: number): ByteSpace {
  return new ByteSpace(Buffer.allocUnsafeSlow(bytes));
}

/** What LMDB reads into is the same buffer nearly always, whatever length it gives itself. */
let viewed = new ByteSpace(EMPTY);

function viewOf(bytes: Buffer): DataView {
  if (viewed.bytes !== bytes) viewed = new ByteSpace(bytes);
  return viewed.view;
}

/** The page in memory that LMDB's next read leaves alone; valid until the next call. */
function kept(page: Page): Page {
  const { length } = page.bytes;
  if (length > oldPage.bytes.length) oldPage = spaceOf(2 * length);
  oldPage.bytes.set(page.bytes.subarray(0, length));
  return { ...page, bytes: oldPage.bytes.subarray(0, length) };
}

/** A page that `kept` returned, with the batch's entries in their places; valid until the next call. */
function merge(page: Page, { hashes, numbers, from, to }: Batch, isKnown: IsKnown): Page {
  const { length } = page.bytes;
  const bytesMax = length + (to - from) * ENTRY_BYTES;
  if (bytesMax > newPage.bytes.length) newPage = spaceOf(2 * bytesMax);
  const { bytes, view } = newPage;
  let read = 0;
  let written = 0;
  for (let at = from; at < to; at++) {
    const hash = hashes[at] as number;
    const place = nextAbove(oldPage.view, hash, read, length);
    written = copyBytes(oldPage, read, place, newPage, written);
    read = place;
    const isThere = written > 0 && hashAt(view, written - ENTRY_BYTES) === hash;
    if (isThere && isKnown(at, numbersOf(view, hash, 0, written))) continue;
    written = putEntry(view, written, hash, numbers[at] as number);
  }
  written = copyBytes(oldPage, read, length, newPage, written);
  return { ...page, bytes: bytes.subarray(0, written) };
}

function prefixOf(hash: number, depth: number): number {
  return Math.floor(hash / 2 ** (DEPTH_MAX - depth));
}

function firstHash({ depth, prefix }: Page): number {
  return prefix * 2 ** (DEPTH_MAX - depth);
}

function lastHash({ depth, prefix }: Page): number {
  return (prefix + 1) * 2 ** (DEPTH_MAX - depth) - 1;
}
