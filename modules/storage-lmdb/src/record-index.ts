/**
 * Where the record of a key is. A hash table of pages that grows page by page: a page holds the entries of all hashes
 * that begin with its prefix, sorted, `u32 hash | u48 record number` each (big-endian), and is cut in two when it is
 * full. Hashes collide now and then: whoever finds an entry compares the key in the record.
 *
 * Against one LMDB entry per key this takes a third of the space, touches a third of the pages, and turns thousands of
 * insertions into a merge per page (docs/decisions/0004-lmdb-layout.md).
 */
import { ByteSpace, copyBytes, type StreamId, type TableId } from '@sluice/core';
import { INDEX_PAGE_BYTES } from './config.ts';
import { indexKey } from './keys.ts';
import type { Schema } from './schema.ts';
import { getTableSpace, putTableSpace } from './tables.ts';

const U32 = 2 ** 32;
const ENTRY_BYTES = 10;
const DEPTH_MAX = 32;
const EMPTY = Buffer.alloc(0);

/** The entries of all hashes whose first `depth` bits are `prefix`. */
interface Page {
  readonly depth: number;
  readonly prefix: number;
  readonly bytes: Buffer;
}

/** New entries, sorted by hash; those with one hash in the order in which they shall be found. */
export interface NewEntries {
  readonly hashes: Uint32Array;
  readonly numbers: Float64Array;
}

export class RecordIndex {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #table: TableId;
  /** Of the deepest page. */
  #depth: number;

  constructor(schema: Schema, stream: StreamId, table: TableId) {
    this.#schema = schema;
    this.#stream = stream;
    this.#table = table;
    this.#depth = getTableSpace(schema, stream, table).indexDepth;
  }

  /** Numbers of the records whose keys may have this hash. */
  find(hash: number): number[] {
    return numbersOf(this.#locate(hash).bytes, hash);
  }

  remove(hash: number, number: number): void {
    const page = kept(this.#locate(hash));
    for (let at = lowerBound(page.bytes, hash); at < page.bytes.length; at += ENTRY_BYTES) {
      if (page.bytes.readUInt32BE(at) !== hash) return;
      if (page.bytes.readUIntBE(at + 4, 6) !== number) continue;
      const rest = Buffer.concat([page.bytes.subarray(0, at), page.bytes.subarray(at + ENTRY_BYTES)]);
      this.#put({ ...page, bytes: rest });
      return;
    }
  }

  /**
   * Adds entries page by page.
   * @param isKnown asked for entries whose hash is there already, with the numbers it leads to; known ones are left out
   */
  insert({ hashes, numbers }: NewEntries, isKnown: (at: number, found: readonly number[]) => boolean): void {
    const depthBefore = this.#depth;
    let from = 0;
    while (from < hashes.length) {
      const page = kept(this.#locate(hashes[from] as number));
      const last = lastHash(page);
      let to = from + 1;
      while (to < hashes.length && (hashes[to] as number) <= last) to++;
      this.#putAll(merge(page, { hashes, numbers, from, to }, isKnown));
      from = to;
    }
    if (this.#depth !== depthBefore) {
      const space = getTableSpace(this.#schema, this.#stream, this.#table);
      putTableSpace(this.#schema, this.#stream, this.#table, { ...space, indexDepth: this.#depth });
    }
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
    if (page.bytes.length <= INDEX_PAGE_BYTES || page.depth === DEPTH_MAX) {
      this.#put(page);
      return;
    }
    if (page.bytes.length > 0)
      this.#schema.index.removeSync(indexKey(this.#stream, this.#table, page.depth, page.prefix));
    const depth = page.depth + 1;
    this.#depth = Math.max(this.#depth, depth);
    const right: Page = { depth, prefix: page.prefix * 2 + 1, bytes: EMPTY };
    const cut = lowerBound(page.bytes, firstHash(right));
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
let oldPage = spaceOf(INDEX_PAGE_BYTES);
let newPage = spaceOf(2 * INDEX_PAGE_BYTES);

function spaceOf(bytes: number): ByteSpace {
  return new ByteSpace(Buffer.allocUnsafeSlow(bytes));
}

/** The page in memory that LMDB's next read leaves alone; valid until the next call. */
function kept(page: Page): Page {
  const { length } = page.bytes;
  if (length > oldPage.bytes.length) oldPage = spaceOf(2 * length);
  oldPage.bytes.set(page.bytes.subarray(0, length));
  return { ...page, bytes: oldPage.bytes.subarray(0, length) };
}

/** A page that `kept` returned, with the batch's entries in their places; valid until the next call. */
function merge(page: Page, batch: Batch, isKnown: (at: number, found: readonly number[]) => boolean): Page {
  const { hashes, numbers, from, to } = batch;
  const { length } = page.bytes;
  const bytesMax = length + (to - from) * ENTRY_BYTES;
  if (bytesMax > newPage.bytes.length) newPage = spaceOf(2 * bytesMax);
  const { bytes, view } = newPage;
  let read = 0;
  let written = 0;
  for (let at = from; at < to; at++) {
    const hash = hashes[at] as number;
    const place = upperBound(oldPage.view, hash, read, length);
    written = copyBytes(oldPage, read, place, newPage, written);
    read = place;
    const isThere = written > 0 && view.getUint32(written - ENTRY_BYTES) === hash;
    if (isThere && isKnown(at, numbersOf(bytes.subarray(0, written), hash))) continue;
    const number = numbers[at] as number;
    view.setUint32(written, hash);
    view.setUint16(written + 4, number / U32);
    view.setUint32(written + 6, number % U32);
    written += ENTRY_BYTES;
  }
  written = copyBytes(oldPage, read, length, newPage, written);
  return { ...page, bytes: bytes.subarray(0, written) };
}

function numbersOf(bytes: Buffer, hash: number): number[] {
  const numbers: number[] = [];
  for (let at = lowerBound(bytes, hash); at < bytes.length && bytes.readUInt32BE(at) === hash; at += ENTRY_BYTES) {
    numbers.push(bytes.readUIntBE(at + 4, 6));
  }
  return numbers;
}

/** Offset of the first entry whose hash is not below `hash`. */
function lowerBound(bytes: Buffer, hash: number): number {
  const { view } = new ByteSpace(bytes);
  return hash === 0 ? 0 : upperBound(view, hash - 1, 0, bytes.length);
}

/** Offset of the first entry between two offsets whose hash is above `hash`. */
function upperBound(view: DataView, hash: number, from: number, to: number): number {
  let low = from / ENTRY_BYTES;
  let high = to / ENTRY_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(middle * ENTRY_BYTES) > hash) high = middle;
    else low = middle + 1;
  }
  return low * ENTRY_BYTES;
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
