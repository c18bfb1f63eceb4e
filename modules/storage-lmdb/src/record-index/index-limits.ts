/** When entries of the record index wait in its journal, and how fast it is worked off. */

/** `u32 hash | u48 record number`, big-endian. */
export const ENTRY_BYTES = 10;

export interface IndexLimits {
  /** Bytes of one page: 408 entries in one page of LMDB, for an update rewrites it. */
  readonly pageBytes: number;
  /** Entries that a page shall take at once, on average, when a slice of the journal is merged. */
  readonly entriesPerPage: number;
  /** Entries of a flush that may become a block. */
  readonly blockFrom: number;
  /** Entries of a block that is not put together with others any more. */
  readonly blockFull: number;
  /** Entries of a journal, which is kept in memory. */
  readonly entriesMax: number;
  /** Pages that a flush must save to be worth a block, for each page that it writes. */
  readonly worthPages: number;
  /** Pages that a flush without a block merges, if there are blocks. */
  readonly pagesAlong: number;
  /** Pages of an index that has a filter (hash-filters.ts) while it is added to. */
  readonly filterFrom: number;
}

export const INDEX_LIMITS: IndexLimits = {
  pageBytes: 4080,
  entriesPerPage: 64,
  blockFrom: 1_000,
  blockFull: 2 ** 15,
  entriesMax: 2 ** 21,
  worthPages: 2,
  pagesAlong: 64,
  filterFrom: 16,
};

/** What one flush does to the index. */
export interface IndexWork {
  /** Whether its entries become a block of the journal; otherwise they are merged into their pages. */
  readonly adds: 'block' | 'entries';
  /** The part of all hashes, up to 1, whose blocked entries are merged. */
  readonly merged: number;
}

/** @param entries of the flush. @param pages of the index. */
export function indexWork(entries: number, pages: number, limits: IndexLimits): IndexWork {
  const { blockFrom, entriesMax, entriesPerPage, pageBytes, worthPages, pagesAlong } = limits;
  const merged = Math.max(entries / (entriesPerPage * pages), entries / entriesMax);
  const written = merged * pages + entries / (pageBytes / ENTRY_BYTES) + 1;
  const isWorthIt = entries >= blockFrom && merged < 0.5 && Math.min(entries, pages) > worthPages * written;
  if (isWorthIt) return { adds: 'block', merged };
  return { adds: 'entries', merged: Math.min(1, pagesAlong / pages) };
}
