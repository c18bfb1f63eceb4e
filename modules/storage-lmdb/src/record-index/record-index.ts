/**
 * Where the record of a key is: a hash table of pages that grows page by page (index-pages.ts), with a journal of entries
 * that large flushes have added and later ones merge (index-journal.ts). Hashes collide now and then: whoever finds an
 * entry compares the key in the record. A number is never given to another record, so an entry that leads nowhere does no
 * harm.
 *
 * Against one LMDB entry per key this takes a third of the space, touches a third of the pages, and turns thousands of
 * insertions into a merge per page (docs/decisions/0004-lmdb-layout.md).
 */
import type { StreamId, TableId } from '@sluice/core';
import { type Entry, type NewEntries, withoutEntries } from './index-entries.ts';
import { IndexJournal } from './index-journal.ts';
import { indexWork } from './index-limits.ts';
import { IndexPages, type IsKnown } from './index-pages.ts';
import type { Schema } from '../schema.ts';

export class RecordIndex {
  readonly #schema: Schema;
  readonly #pages: IndexPages;
  readonly #journal: IndexJournal;

  constructor(schema: Schema, stream: StreamId, table: TableId) {
    this.#schema = schema;
    this.#pages = new IndexPages(schema, stream, table);
    this.#journal = new IndexJournal(schema, stream, table);
  }

  /** Whether all entries are in their pages. */
  get isMerged(): boolean {
    return this.#journal.isEmpty;
  }

  /** Numbers of the records whose keys may have this hash. */
  find(hash: number): number[] {
    const inPages = this.#pages.find(hash);
    return this.#journal.isEmpty ? inPages : [...this.#journal.find(hash), ...inPages];
  }

  /** Inside a transaction. */
  remove(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#refresh();
    for (const { hash, number } of this.#journal.remove(entries)) this.#pages.remove(hash, number);
  }

  /**
   * Inside a transaction.
   * @param isKnown asked for entries whose hash is there already, with the numbers it leads to; known ones are left out
   */
  insert(entries: NewEntries, isKnown: IsKnown): void {
    this.#refresh();
    const { adds, merged } = indexWork(entries.hashes.length, this.#pages.count, this.#schema.indexLimits);
    if (adds === 'block') this.#journal.append(this.#unknown(entries, isKnown));
    else if (this.#journal.isEmpty) this.#pages.insert(entries, isKnown);
    else this.#pages.insert(this.#unknown(entries, isKnown), NONE_KNOWN);
    this.merge(merged);
  }

  /** Inside a transaction: brings pending entries of a part of all hashes to their pages. */
  merge(part: number): void {
    if (!this.#journal.isEmpty) this.#pages.insert(this.#journal.take(part), NONE_KNOWN);
  }

  /** The same, of so many pages. */
  mergePages(pages: number): void {
    this.#refresh();
    this.merge(Math.min(1, pages / this.#pages.count));
  }

  #unknown(entries: NewEntries, isKnown: IsKnown): NewEntries {
    const { hashes, numbers } = entries;
    const met = new Map<number, number[]>();
    const meet = (at: number, found: readonly number[]): void => {
      met.set(at, [...(met.get(at) ?? []), ...found]);
    };
    this.#journal.meet(entries, meet);
    this.#pages.meet(entries, meet);
    for (let at = 1; at < hashes.length; at++) if (hashes[at] === hashes[at - 1]) meet(at, []);
    const known = new Set<number>();
    for (const at of [...met.keys()].sort((a, b) => a - b)) {
      const found = met.get(at) ?? [];
      for (let other = at - 1; other >= 0 && hashes[other] === hashes[at]; other--) {
        if (!known.has(other)) found.push(numbers[other] as number);
      }
      if (isKnown(at, found)) known.add(at);
    }
    return withoutEntries(entries, known);
  }

  #refresh(): void {
    this.#pages.refresh();
    this.#journal.refresh();
  }
}

const NONE_KNOWN = (): boolean => false;
