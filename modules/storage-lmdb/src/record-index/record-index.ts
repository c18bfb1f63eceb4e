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
import type { HashFilter } from './hash-filter.ts';
import { hashFiltersOf } from './hash-filters.ts';
import { type Entry, type NewEntries, withoutEntries } from './index-entries.ts';
import { IndexJournal } from './index-journal.ts';
import { indexWork } from './index-limits.ts';
import { IndexPages, type IsKnown } from './index-pages.ts';
import type { Schema } from '../schema.ts';
import { getTableSpace, putTableSpace, type TableSpace } from '../tables.ts';

export interface Insertion {
  readonly entries: NewEntries;
  /** Of the table, behind the groups of the entries' records: it rises with every insertion. */
  readonly nextGroup: number;
  /**
   * Asked for entries whose hash is there already, with the numbers it leads to; known ones are left out. Null if none is
   * known.
   */
  readonly isKnown: IsKnown | null;
}

export class RecordIndex {
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #table: TableId;
  readonly #pages: IndexPages;
  readonly #journal: IndexJournal;

  constructor(schema: Schema, stream: StreamId, table: TableId) {
    this.#schema = schema;
    this.#stream = stream;
    this.#table = table;
    this.#pages = new IndexPages(schema, stream, table);
    this.#journal = new IndexJournal(schema, stream, table);
  }

  get #name(): string {
    return `${this.#stream}/${this.#table}`;
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

  /** When nothing more is expected to come: frees memory. */
  forgetFilter(): void {
    hashFiltersOf(this.#schema).forget(this.#name);
  }

  /** Inside a transaction. */
  remove(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#refresh();
    for (const { hash, number } of this.#journal.remove(entries)) this.#pages.remove(hash, number);
  }

  /** Inside a transaction. */
  insert({ entries, nextGroup, isKnown }: Insertion): void {
    this.#refresh();
    const filter = isKnown === null ? this.#filterToTell() : this.#filterToAsk();
    const { adds, merged } = indexWork(entries.hashes.length, this.#pages.count, this.#schema.indexLimits);
    if (adds === 'entries' && this.#journal.isEmpty) {
      this.#pages.insert(entries, isKnown ?? NONE_KNOWN);
    } else {
      const added = isKnown === null ? entries : this.#unknown(entries, isKnown, filter);
      if (adds === 'block') this.#journal.append(added);
      else this.#pages.insert(added, NONE_KNOWN);
    }
    this.merge(merged);
    filter?.addAll(entries.hashes);
    this.#leave(nextGroup);
  }

  #filterToTell(): HashFilter | null {
    return hashFiltersOf(this.#schema).existing(this.#name, this.#space().nextGroup);
  }

  #filterToAsk(): HashFilter | null {
    const pages = this.#pages.count;
    if (pages < this.#schema.indexLimits.filterFrom) return null;
    const { nextGroup } = this.#space();
    return hashFiltersOf(this.#schema).ofTable(this.#name, { pages, nextGroup }, (filter) =>
      this.#journal.teach(filter),
    );
  }

  #leave(nextGroup: number): void {
    putTableSpace(this.#schema, this.#stream, this.#table, { ...this.#space(), nextGroup });
    hashFiltersOf(this.#schema).added(this.#name, nextGroup);
  }

  #space(): TableSpace {
    return getTableSpace(this.#schema, this.#stream, this.#table);
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

  #unknown(entries: NewEntries, isKnown: IsKnown, filter: HashFilter | null): NewEntries {
    const { hashes, numbers } = entries;
    const met = new Map<number, number[]>();
    const meet = (at: number, found: readonly number[]): void => {
      met.set(at, [...(met.get(at) ?? []), ...found]);
    };
    if (filter === null) {
      this.#journal.meet(hashes, meet);
      this.#pages.meet(hashes, meet);
    } else {
      const suspects = filter.suspects(hashes);
      const suspected = new Uint32Array(suspects.length);
      for (let at = 0; at < suspects.length; at++) suspected[at] = hashes[suspects[at] as number] as number;
      const meetSuspect = (at: number, found: readonly number[]): void => meet(suspects[at] as number, found);
      this.#journal.meet(suspected, meetSuspect);
      this.#pages.meet(suspected, meetSuspect, filter);
    }
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
