/**
 * Entries of a record index that are on their way to their pages. A large flush touches nearly every page of a large index,
 * each for the sake of an entry or two. So it leaves its entries here, as one block, sorted by hash, and merges a slice of all
 * hashes, of all blocks, into the pages. The next flush goes on where the slice ended; when all hashes have been passed
 * since a block was written, the block is removed.
 *
 * The clock counts hashes that were passed, 2^32 a round. An entry is pending until the clock has passed its hash.
 */
import { type ByteSpace, invariant, type StreamId, type TableId } from '@sluice/core';
import { blockCacheOf } from './block-cache.ts';
import type { HashFilter } from './hash-filter.ts';
import {
  type Entry,
  hashAt,
  lowerBound,
  type NewEntries,
  nextNotBelow,
  numberAt,
  numbersOf,
  putEntry,
  sortedEntries,
} from './index-entries.ts';
import { ENTRY_BYTES } from './index-limits.ts';
import { afterPrefix, documentKey, indexBlockKey, indexBlockPrefix } from '../keys.ts';
import { getDocument, putDocument, type Schema } from '../schema.ts';

const ROUND = 2 ** 32;
/** Of one stored value: eight pages less LMDB's header, as runs of ops, so that one can be put where the other was. */
const PART_BYTES = 3275 * ENTRY_BYTES;

/** Blocks of about one size that are put together with what comes. */
const PACKED = 7;

interface BlockState {
  readonly id: string;
  readonly number: number;
  readonly entries: number;
  /** When it was written. */
  readonly clock: number;
}

interface JournalState {
  readonly clock: number;
  readonly nextBlock: number;
  readonly blocks: readonly BlockState[];
}

interface Block extends BlockState {
  readonly space: ByteSpace;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

export class IndexJournal {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #table: TableId;
  #clock = 0;
  #nextBlock = 0;
  #blocks: readonly Block[] = [];

  constructor(schema: Schema, stream: StreamId, table: TableId) {
    this.#schema = schema;
    this.#stream = stream;
    this.#table = table;
    this.refresh();
  }

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  /** What other writers may have changed. */
  refresh(): void {
    const cache = blockCacheOf(this.#schema);
    const state = getDocument<JournalState>(this.#schema.documents, this.#documentKey());
    this.#clock = state?.clock ?? 0;
    this.#nextBlock = state?.nextBlock ?? 0;
    this.#blocks = (state?.blocks ?? []).map((block) => ({
      ...block,
      space: cache.get(block.id, () => this.#load(block)),
    }));
  }

  /** Numbers of the pending entries of a hash. */
  find(hash: number): number[] {
    const found: number[] = [];
    for (const { clock, space } of this.#blocks) {
      if (!isPassed(hash, clock, this.#clock)) found.push(...numbersOf(space.view, hash, 0, space.bytes.length));
    }
    return found;
  }

  /** Calls back for all entries that have the hash of a pending one. */
  meet(hashes: Uint32Array, met: (at: number, found: readonly number[]) => void): void {
    for (const block of this.#blocks) {
      for (const range of pendingRanges(block, this.#clock)) meetRange(hashes, block.space.view, range, met);
    }
  }

  /** Of all blocks, pending or not. */
  teach(filter: HashFilter): void {
    for (const { space } of this.#blocks) filter.addEntries(space.view, 0, space.bytes.length);
  }

  append(entries: NewEntries): void {
    if (entries.hashes.length === 0) return;
    const packed = this.#takeNewest(entries.hashes.length);
    const { hashes, numbers } = packed === null ? entries : sortedEntries(packed, entries);
    const bytes = Buffer.allocUnsafeSlow(hashes.length * ENTRY_BYTES);
    const cache = blockCacheOf(this.#schema);
    const id = cache.nextId();
    const state: BlockState = { id, number: this.#nextBlock++, entries: hashes.length, clock: this.#clock };
    const space = cache.put(id, bytes);
    let end = 0;
    for (let at = 0; at < hashes.length; at++) {
      end = putEntry(space.view, end, hashes[at] as number, numbers[at] as number);
    }
    this.#putParts(state.number, bytes);
    this.#blocks = [...this.#blocks, { ...state, space }];
    this.#save();
  }

  /**
   * Of the newest blocks, if they are as small as what comes: every lookup asks all blocks, so they must not be many.
   * @returns what is pending of them, to be written anew; null if they stay
   */
  #takeNewest(entries: number): NewEntries | null {
    const newest = this.#blocks.slice(-PACKED);
    const largest = Math.min(this.#schema.indexLimits.blockFull - 1, entries * PACKED);
    const isSmall = ({ space }: Block): boolean => space.bytes.length <= largest * ENTRY_BYTES;
    if (newest.length < PACKED || !newest.every(isSmall)) return null;
    const taken = entriesBetween(newest, this.#clock, { from: 0, to: ROUND });
    this.#remove(newest);
    return taken;
  }

  #remove(blocks: readonly Block[]): void {
    for (const { id, number } of blocks) {
      this.#removeParts(number, 0);
      blockCacheOf(this.#schema).forget(id);
    }
    this.#blocks = this.#blocks.filter((block) => !blocks.includes(block));
  }

  /** Lets the clock pass a part of all hashes, or what is left of the round. @returns the entries that were pending there */
  take(part: number): NewEntries {
    const from = this.#clock % ROUND;
    const to = Math.min(ROUND, from + Math.ceil(part * ROUND));
    const taken = entriesBetween(this.#blocks, this.#clock, { from, to });
    this.#clock += to - from;
    this.#remove(this.#blocks.filter(({ clock }) => this.#clock - clock >= ROUND));
    this.#save();
    return taken;
  }

  /** @returns those that are not pending */
  remove(entries: readonly Entry[]): readonly Entry[] {
    if (this.isEmpty) return entries;
    const others: Entry[] = [];
    const removed = new Map<Block, Set<number>>();
    for (const entry of entries) {
      const block = this.#blocks.find((candidate) => this.#isPendingIn(candidate, entry));
      if (block === undefined) others.push(entry);
      else removed.set(block, (removed.get(block) ?? new Set()).add(entry.number));
    }
    if (removed.size === 0) return others;
    this.#blocks = this.#blocks.map((block) => this.#without(block, removed.get(block)));
    this.#save();
    return others;
  }

  #isPendingIn({ clock, space }: Block, { hash, number }: Entry): boolean {
    if (isPassed(hash, clock, this.#clock)) return false;
    return numbersOf(space.view, hash, 0, space.bytes.length).includes(number);
  }

  /** Under another id: it is another block to whoever knows the old one. */
  #without(block: Block, numbers: ReadonlySet<number> | undefined): Block {
    if (numbers === undefined) return block;
    const { bytes, view } = block.space;
    const rest = Buffer.allocUnsafeSlow(bytes.length);
    let end = 0;
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      if (!numbers.has(numberAt(view, at))) end += bytes.copy(rest, end, at, at + ENTRY_BYTES);
    }
    const cache = blockCacheOf(this.#schema);
    const id = cache.nextId();
    const left = rest.subarray(0, end);
    this.#removeParts(block.number, this.#putParts(block.number, left));
    cache.forget(block.id);
    return { ...block, id, entries: end / ENTRY_BYTES, space: cache.put(id, left) };
  }

  /** @returns how many */
  #putParts(number: number, bytes: Buffer): number {
    let part = 0;
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      const key = indexBlockKey(this.#stream, this.#table, { number, part: part++ });
      this.#schema.indexJournal.putSync(key, bytes.subarray(at, at + PART_BYTES));
    }
    return part;
  }

  #removeParts(number: number, from: number): void {
    const { indexJournal } = this.#schema;
    let part = from;
    while (indexJournal.removeSync(indexBlockKey(this.#stream, this.#table, { number, part }))) part++;
  }

  #load({ number, entries }: BlockState): Buffer {
    const start = indexBlockPrefix(this.#stream, this.#table, number);
    const parts = [...this.#schema.indexJournal.getRange({ start, end: afterPrefix(start) })];
    const bytes = Buffer.concat(parts.map(({ value }) => value));
    invariant(bytes.length === entries * ENTRY_BYTES, 'index journal: a broken block');
    return bytes;
  }

  #save(): void {
    const blocks = this.#blocks.map(({ id, number, entries, clock }) => ({ id, number, entries, clock }));
    const state: JournalState = { clock: this.#clock, nextBlock: this.#nextBlock, blocks };
    putDocument(this.#schema.documents, this.#documentKey(), state);
  }

  #documentKey(): Buffer {
    return documentKey('indexJournal', this.#stream, this.#table);
  }
}

function isPassed(hash: number, written: number, clock: number): boolean {
  return (hash - (written % ROUND) + ROUND) % ROUND < clock - written;
}

/** Where in a block the entries are that the clock has not passed since it was written. */
function pendingRanges({ clock: written, space }: Block, clock: number): readonly Range[] {
  const { bytes, view } = space;
  const end = bytes.length;
  if (clock === written) return [{ from: 0, to: end }];
  const [start, now] = [written % ROUND, clock % ROUND];
  const [fromStart, fromNow] = [lowerBound(view, start, 0, end), lowerBound(view, now, 0, end)];
  if (now <= start) return [{ from: fromNow, to: fromStart }];
  return [
    { from: 0, to: fromStart },
    { from: fromNow, to: end },
  ];
}

function meetRange(
  hashes: Uint32Array,
  view: DataView,
  { from, to }: Range,
  met: (at: number, found: readonly number[]) => void,
): void {
  let read = from;
  for (let at = 0; at < hashes.length && read < to; at++) {
    const hash = hashes[at] as number;
    read = nextNotBelow(view, hash, read, to);
    if (read < to && hashAt(view, read) === hash) met(at, numbersOf(view, hash, read, to));
  }
}

/** The pending entries whose hashes are in a range, sorted. */
function entriesBetween(blocks: readonly Block[], clock: number, range: Range): NewEntries {
  const parts: { readonly view: DataView; readonly from: number; readonly to: number }[] = [];
  let count = 0;
  for (const block of blocks) {
    const { view } = block.space;
    for (const pending of pendingRanges(block, clock)) {
      const from = lowerBound(view, range.from, pending.from, pending.to);
      const to = range.to === ROUND ? pending.to : lowerBound(view, range.to, from, pending.to);
      count += (to - from) / ENTRY_BYTES;
      parts.push({ view, from, to });
    }
  }
  const hashes = new Uint32Array(count);
  const numbers = new Float64Array(count);
  let put = 0;
  for (const { view, from, to } of parts) {
    for (let at = from; at < to; at += ENTRY_BYTES, put++) {
      hashes[put] = hashAt(view, at);
      numbers[put] = numberAt(view, at);
    }
  }
  return sortedEntries({ hashes, numbers });
}
