/**
 * Filters of the indexes that this process adds to, in memory: nearly all that a copy brings is new, and to look for it in the
 * pages costs more than to store it.
 *
 * What is stored says whether a filter may be used. Every entry comes with a record in a new group, and groups are numbered
 * through: as long as the table's next group is the one that this process has left, nobody else has added an entry.
 */
import { HashFilter } from './hash-filter.ts';
import type { Schema } from '../schema.ts';

/** Two of the largest. */
const BYTES_MAX = 65 * 2 ** 20;
/** A filter that was asked for longer ago, counted in such requests, makes room for another. */
const IDLE_REQUESTS = 256;

interface Kept {
  nextGroup: number;
  /** Made when this process has added twice in a row: where several do in turns, nobody would come to use it. */
  filter: HashFilter | null;
  askedAt: number;
}

/** Of one open database, by table. */
export class HashFilters {
  readonly #kept = new Map<string, Kept>();
  #requests = 0;

  /**
   * Inside a transaction that adds to an index of so many pages, for whoever wants to know what is new.
   * @param nextGroup as it is stored
   * @param teach whatever is not in the pages
   * @returns null if it would be of no use, or there is no room for it
   */
  ofTable(name: string, { pages, nextGroup }: Extent, teach: (filter: HashFilter) => void): HashFilter | null {
    const kept = this.#valid(name, nextGroup);
    if (kept === null) return null;
    kept.askedAt = ++this.#requests;
    if ((kept.filter === null || kept.filter.isTooSmallFor(pages)) && this.#makeRoom(kept, pages)) {
      kept.filter = new HashFilter(pages);
      teach(kept.filter);
    }
    return kept.filter;
  }

  /** The same, for whoever only adds: none is made for them. */
  existing(name: string, nextGroup: number): HashFilter | null {
    return this.#valid(name, nextGroup)?.filter ?? null;
  }

  #valid(name: string, nextGroup: number): Kept | null {
    const kept = this.#kept.get(name);
    if (kept?.nextGroup === nextGroup) return kept;
    this.#kept.delete(name);
    return null;
  }

  /** Inside the transaction, when it has added to the index, and to the filter. */
  added(name: string, nextGroup: number): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) this.#kept.set(name, { nextGroup, filter: null, askedAt: 0 });
    else kept.nextGroup = nextGroup;
  }

  forget(name: string): void {
    this.#kept.delete(name);
  }

  /** When a transaction was undone: what it has added is said to be there, and who writes next may not have added it. */
  forgetAll(): void {
    this.#kept.clear();
  }

  /**
   * For a filter of so many pages, in the place of what is kept. Filters that are in use stay: if there are too many, each would
   * be made anew before it has learnt anything.
   */
  #makeRoom(own: Kept, pages: number): boolean {
    const others = [...this.#kept.values()].filter((kept) => kept !== own);
    const idle = others.filter(({ askedAt }) => askedAt < this.#requests - IDLE_REQUESTS);
    let bytes = others.reduce((sum, { filter }) => sum + (filter?.bytes ?? 0), HashFilter.bytesFor(pages));
    for (const kept of idle) {
      if (bytes <= BYTES_MAX) break;
      bytes -= kept.filter?.bytes ?? 0;
      kept.filter = null;
    }
    return bytes <= BYTES_MAX;
  }
}

interface Extent {
  readonly pages: number;
  readonly nextGroup: number;
}

const filters = new WeakMap<Schema, HashFilters>();

export function hashFiltersOf(schema: Schema): HashFilters {
  let found = filters.get(schema);
  if (found === undefined) filters.set(schema, (found = new HashFilters()));
  return found;
}
