/**
 * Filters of the indexes that this process adds to, in memory: nearly all that a copy brings is new, and to look for it in the
 * pages costs more than to store it.
 *
 * What is stored says whether a filter may be used. Every entry comes with a record in a new group, and groups are numbered
 * through: as long as the table's next group is the one that this process has left, nobody else has added an entry.
 */
import { HashFilter } from './hash-filter.ts';
import type { Schema } from '../schema.ts';

const BYTES_MAX = 64 * 2 ** 20;

interface Kept {
  nextGroup: number;
  /** Made when this process has added twice in a row: where several do in turns, nobody would come to use it. */
  filter: HashFilter | null;
}

/** Of one open database, by table. */
export class HashFilters {
  readonly #kept = new Map<string, Kept>();

  /**
   * Inside a transaction that adds to an index of so many pages. @param nextGroup as it is stored
   * @param teach whatever is not in the pages
   * @returns null if it would be of no use
   */
  ofTable(name: string, { pages, nextGroup }: Extent, teach: (filter: HashFilter) => void): HashFilter | null {
    const kept = this.#kept.get(name);
    if (kept?.nextGroup !== nextGroup) {
      this.#kept.delete(name);
      return null;
    }
    if (kept.filter === null || kept.filter.isTooSmallFor(pages)) {
      kept.filter = new HashFilter(pages);
      teach(kept.filter);
      this.#bound();
    }
    return kept.filter;
  }

  /** Inside the transaction, when it has added to the index, and to the filter. */
  added(name: string, nextGroup: number): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) this.#kept.set(name, { nextGroup, filter: null });
    else kept.nextGroup = nextGroup;
  }

  forget(name: string): void {
    this.#kept.delete(name);
  }

  /** When a transaction was undone: what it has added is said to be there, and who writes next may not have added it. */
  forgetAll(): void {
    this.#kept.clear();
  }

  #bound(): void {
    let bytes = 0;
    for (const { filter } of this.#kept.values()) bytes += filter?.bytes ?? 0;
    for (const [name, kept] of this.#kept) {
      if (bytes <= BYTES_MAX) break;
      bytes -= kept.filter?.bytes ?? 0;
      this.#kept.delete(name);
    }
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
