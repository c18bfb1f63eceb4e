/**
 * A source database as small as it can be and still be nasty. A transaction has three moments: it is in the log (and the
 * head is behind it), it is flushed (and can be streamed), it is visible (and reads see it); the second and the third come
 * in any order. Remembers what it was at every position, which makes it the oracle, too.
 */
import type { Position, RawRow, Relation, StreamEvent } from '@sluice/core';
import { type Change, isExclusive } from './change.ts';
import { applyToCatalogue, type Definition } from './catalogue.ts';
import {
  type DatabaseState,
  Heap,
  ID,
  isLong,
  isPublished,
  keyOf,
  type ModelTable,
  rawRow,
  type Row,
  type Rows,
  type Shape,
  stored,
} from './tables.ts';

/** What reads see of a change, when they do. */
type HeapChange =
  | {
      readonly kind: 'put';
      readonly oid: string;
      readonly key: string | null;
      readonly row: Row;
      readonly place: number;
    }
  | { readonly kind: 'remove'; readonly oid: string; readonly key: string }
  | { readonly kind: 'new file'; readonly oid: string; readonly rows: readonly Row[] }
  | { readonly kind: 'gone'; readonly oid: string };

export interface Transaction {
  readonly at: number;
  readonly boundary: Position;
  readonly position: Position;
  readonly events: readonly StreamEvent[];
  readonly heapChanges: readonly HeapChange[];
  readonly state: DatabaseState;
  visible: boolean;
}

export function positionAt(place: number): Position {
  return place.toString(16).toUpperCase().padStart(16, '0');
}

export class SourceDatabase {
  readonly log: Transaction[] = [];
  /** What reads see. */
  readonly heaps = new Map<string, Heap>();
  /** By oid: the key of the row that cannot be read; null if none may be. */
  readonly denied = new Map<string, string | null>();
  readonly everDenied = new Set<string>();
  #state: DatabaseState = new Map();
  #place = 16;
  #flushed = 16;
  #files = 1;

  /** The end of the log: at or behind everything that reads can see. */
  get head(): Position {
    return positionAt(this.#place);
  }

  /** What of the log can be streamed. */
  get flushed(): Position {
    return positionAt(this.#flushed);
  }

  get now(): DatabaseState {
    return this.#state;
  }

  /** What the catalogue tells of the tables. Changes of it are visible as soon as they are in the log. */
  get shapes(): readonly Shape[] {
    return [...this.#state.values()].map(({ shape }) => shape);
  }

  stateAt(position: Position): DatabaseState {
    return this.log.findLast((transaction) => transaction.position <= position)?.state ?? new Map();
  }

  /** Whether the log has an update of the row that leaves values out. */
  hasPartialUpdate(table: string, id: string): boolean {
    return this.log.some(({ events }) =>
      events.some(
        (event) =>
          event.kind === 'update' &&
          event.relation.name === table &&
          event.row[ID] === id &&
          event.row.includes(undefined),
      ),
    );
  }

  get invisible(): readonly Transaction[] {
    return this.log.filter((transaction) => !transaction.visible);
  }

  /** Commits what can be done of it. It is neither flushed nor visible yet, unless nobody could tell. */
  commit(changes: readonly Change[]): void {
    const draft = new Draft(this.#state, this.#place);
    for (const change of changes) {
      if (isExclusive(change)) this.revealAll();
      else this.#revealConflicting(change);
      draft.apply(change);
    }
    if (draft.heapChanges.length === 0 && draft.events.length === 0 && draft.state === this.#state) return;
    const boundary = positionAt(this.#place + draft.events.length + 1);
    this.#place += draft.events.length + 2;
    const { events, heapChanges, state } = draft;
    const transaction = { at: this.#place, boundary, position: this.head, events, heapChanges, state, visible: false };
    this.log.push(transaction);
    this.#state = state;
    if (changes.some(isExclusive)) this.reveal(transaction);
  }

  /** The log grows by something that is no transaction. */
  grow(): void {
    this.#place += 1;
  }

  flush(): void {
    this.#flushed = this.#place;
  }

  reveal(transaction: Transaction): void {
    transaction.visible = true;
    for (const change of transaction.heapChanges) this.#store(change);
  }

  revealAll(): void {
    for (const transaction of this.invisible) this.reveal(transaction);
  }

  /** VACUUM FULL, CLUSTER: same rows in other places, nothing in the log. */
  rewrite(oid: string): void {
    this.revealAll();
    const heap = this.heaps.get(oid);
    if (heap !== undefined) this.#store({ kind: 'new file', oid, rows: [...heap.slots.values()] });
  }

  deny(oid: string, key: string | null): void {
    this.denied.set(oid, key);
    if (key === null) this.everDenied.add(oid);
  }

  /** Nobody can change a row whose last writer has not ended. */
  #revealConflicting(change: Change): void {
    const keys = keysOf(change);
    for (const transaction of this.invisible) {
      if (transaction.heapChanges.some((other) => 'oid' in change && conflicts(other, change.oid, keys)))
        this.reveal(transaction);
    }
  }

  #store(change: HeapChange): void {
    if (change.kind === 'gone') return void this.heaps.delete(change.oid);
    if (change.kind === 'new file') {
      const heap = new Heap(this.#files++);
      for (const [index, row] of change.rows.entries()) heap.put(row, heap.file * 31 + index);
      return void this.heaps.set(change.oid, heap);
    }
    const heap = this.heaps.get(change.oid);
    if (change.key !== null) heap?.remove(change.key);
    if (change.kind === 'put') heap?.put(change.row, change.place);
  }
}

function keysOf(change: Change): readonly string[] {
  if (change.kind === 'insert') return [keyOf(change.row)];
  if (change.kind === 'delete') return [change.key];
  return change.kind === 'update' ? [change.key, change.set[ID] ?? change.key] : [];
}

function conflicts(other: HeapChange, oid: string, keys: readonly string[]): boolean {
  if (other.oid !== oid) return false;
  if (other.kind !== 'put' && other.kind !== 'remove') return true;
  return (other.key !== null && keys.includes(other.key)) || (other.kind === 'put' && keys.includes(keyOf(other.row)));
}

/** A transaction in the making. */
class Draft {
  state: DatabaseState;
  readonly events: StreamEvent[] = [];
  readonly heapChanges: HeapChange[] = [];
  #place: number;

  constructor(state: DatabaseState, place: number) {
    this.state = state;
    this.#place = place;
  }

  apply(change: Change): void {
    switch (change.kind) {
      case 'insert':
        return this.#insert(change);
      case 'update':
        return this.#update(change);
      case 'delete':
        return this.#delete(change);
      case 'truncate':
        return this.#truncate(change.oids.filter((oid) => this.state.has(oid)));
      case 'create table':
      case 'drop table':
      case 'rename table':
      case 'add column':
      case 'drop column':
      case 'change type':
      case 'replica identity':
      case 'publish':
      case 'unpublish':
        return this.#define(change);
    }
  }

  #define(change: Definition): void {
    const { state, rewritten, created, dropped } = applyToCatalogue(this.state, change);
    this.state = state;
    if (created !== null) this.heapChanges.push({ kind: 'new file', oid: created, rows: [] });
    if (dropped !== null) this.heapChanges.push({ kind: 'gone', oid: dropped });
    if (rewritten !== null) {
      const rows = [...(state.get(rewritten)?.rows.values() ?? [])];
      this.heapChanges.push({ kind: 'new file', oid: rewritten, rows });
    }
  }

  #insert({ oid, row: values }: Change & { kind: 'insert' }): void {
    const table = this.state.get(oid);
    if (table === undefined || table.rows.has(keyOf(values))) return;
    const row = stored(table.shape, values);
    this.#put(table, { key: null, row });
    if (isPublished(table.shape, row))
      this.events.push({ kind: 'insert', relation: table.shape.relation, row: rawRow(table.shape, row) });
  }

  #update({ oid, key, set }: Change & { kind: 'update' }): void {
    const table = this.state.get(oid);
    const old = table?.rows.get(key);
    if (table === undefined || old === undefined || table.shape.identity === 'nothing') return;
    const row = stored(table.shape, Object.assign([], old, set));
    if (keyOf(row) !== key && table.rows.has(keyOf(row))) return;
    this.#put(table, { key, row });
    this.#logUpdate(table.shape, { old, row, set });
  }

  /** A row that comes out of a row filter comes as an insert, one that goes into it as a delete. */
  #logUpdate(shape: Shape, { old, row, set }: { old: Row; row: Row; set: Readonly<Record<number, unknown>> }): void {
    const { relation } = shape;
    const isFull = shape.identity === 'full';
    const before = beforeOf(shape, old);
    if (!isPublished(shape, row)) {
      if (isPublished(shape, old)) this.events.push({ kind: 'delete', relation, before });
      return;
    }
    const full = rawRow(shape, row);
    const sent = full.map((value, at) =>
      !isFull && isLong(value) && !((shape.columns[at]?.attribute ?? 0) in set) ? undefined : value,
    );
    if (!isPublished(shape, old)) this.events.push({ kind: 'insert', relation, row: sent });
    else {
      const isMoved = isFull || keyOf(row) !== keyOf(old);
      this.events.push({ kind: 'update', relation, row: sent, before: isMoved ? before : null });
    }
  }

  #delete({ oid, key }: Change & { kind: 'delete' }): void {
    const table = this.state.get(oid);
    const old = table?.rows.get(key);
    if (table === undefined || old === undefined || table.shape.identity === 'nothing') return;
    const rows = new Map(table.rows);
    rows.delete(key);
    this.#replace(table, rows);
    this.heapChanges.push({ kind: 'remove', oid, key });
    if (isPublished(table.shape, old))
      this.events.push({ kind: 'delete', relation: table.shape.relation, before: beforeOf(table.shape, old) });
  }

  #truncate(oids: readonly string[]): void {
    const relations: Relation[] = [];
    for (const oid of oids) {
      const table = this.state.get(oid);
      if (table === undefined) continue;
      this.#replace(table, new Map());
      this.heapChanges.push({ kind: 'new file', oid, rows: [] });
      if (table.shape.publication.isPublished) relations.push(table.shape.relation);
    }
    if (relations.length > 0) this.events.push({ kind: 'truncate', relations });
  }

  #put(table: ModelTable, { key, row }: { key: string | null; row: Row }): void {
    const rows = new Map(table.rows);
    if (key !== null) rows.delete(key);
    rows.set(keyOf(row), row);
    this.#replace(table, rows);
    this.heapChanges.push({
      kind: 'put',
      oid: table.shape.oid,
      key,
      row,
      place: this.#place + this.heapChanges.length,
    });
  }

  #replace(table: ModelTable, rows: Rows): void {
    this.state = new Map(this.state).set(table.shape.oid, { ...table, rows });
  }
}

/** Under identity FULL the whole old row, else its key. */
function beforeOf(shape: Shape, old: Row): RawRow {
  const whole = rawRow(shape, old);
  return shape.identity === 'full'
    ? whole
    : whole.map((value, at) => (shape.columns[at]?.attribute === ID ? value : undefined));
}
