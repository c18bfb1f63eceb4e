/**
 * A source database as small as it can be and still be nasty: two tables of rows in physical slots, a log of
 * transactions with positions, and commits that are in the log before they are visible to reads. Remembers its state
 * after every transaction, which makes it the oracle as well.
 */
import type { Position, RawRow, Relation, StreamEvent } from '@sluice/core';
import type { SeededRandom } from '../kit/seeded-random.ts';

/** `id` is the key; `owner` decides the bucket; `long` is kept out of line and left out of events that do not touch it. */
export interface ModelRow {
  readonly id: string;
  readonly owner: string | null;
  readonly text: string;
  readonly long: string;
}

export const COLUMNS = ['id', 'owner', 'text', 'long'] as const;

export const TABLE_NAMES = ['alpha', 'beta'] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** All rows by `table/id`. */
export type ModelState = ReadonlyMap<string, ModelRow>;

type Change =
  | { readonly kind: 'insert'; readonly table: TableName; readonly row: ModelRow }
  | {
      readonly kind: 'update';
      readonly table: TableName;
      readonly id: string;
      readonly row: ModelRow;
      readonly whole: boolean;
    }
  | { readonly kind: 'delete'; readonly table: TableName; readonly id: string }
  | { readonly kind: 'truncate'; readonly table: TableName };

export interface ModelTransaction {
  readonly boundary: Position;
  readonly position: Position;
  readonly changes: readonly Change[];
}

interface Physical {
  relfilenode: number;
  /** Visible row versions by slot. */
  readonly slots: Map<number, ModelRow>;
}

function positionAt(place: number): Position {
  return place.toString(16).toUpperCase().padStart(16, '0');
}

export class ModelDatabase {
  readonly log: ModelTransaction[] = [];
  /** States after each transaction, the empty one first. */
  readonly #states: { position: Position; state: ModelState }[] = [{ position: positionAt(0), state: new Map() }];
  readonly #physical = new Map<TableName, Physical>();
  readonly #random: SeededRandom;
  /** Transactions of the log before this index are visible to reads. */
  #visible = 0;
  #place = 16;
  #nextRelfilenode = 1;

  constructor(random: SeededRandom) {
    this.#random = random;
    for (const name of TABLE_NAMES)
      this.#physical.set(name, { relfilenode: this.#nextRelfilenode++, slots: new Map() });
  }

  get head(): Position {
    return positionAt(this.#place);
  }

  get allVisible(): boolean {
    return this.#visible === this.log.length;
  }

  get logged(): number {
    return this.log.length;
  }

  get visible(): number {
    return this.#visible;
  }

  /** The state after the newest transaction at or before the position. */
  stateAt(position: Position): ModelState {
    for (let index = this.#states.length - 1; index >= 0; index--) {
      const entry = this.#states[index];
      if (entry !== undefined && entry.position <= position) return entry.state;
    }
    throw new Error('no state');
  }

  get now(): ModelState {
    return this.#states.at(-1)?.state ?? new Map();
  }

  /** A record that is no transaction. */
  mark(): void {
    this.#place += 1 + this.#random.int(3);
  }

  /** Commits. The transaction is in the log at once, and visible when `reveal` has come to it. */
  commit(changes: readonly Change[]): void {
    const boundary = positionAt(this.#place + 1);
    this.#place += 2 + this.#random.int(4);
    const position = this.head;
    this.log.push({ boundary, position, changes });
    const state = new Map(this.now);
    for (const change of changes) applyTo(state, change);
    this.#states.push({ position, state });
    // Nobody can lock a row whose last writer is still in progress, nor empty its table.
    if (changes.some((change) => change.kind === 'truncate')) this.revealAll();
  }

  reveal(): void {
    const transaction = this.log[this.#visible];
    if (transaction === undefined) return;
    this.#visible++;
    for (const change of transaction.changes) this.#store(change);
  }

  revealAll(): void {
    while (!this.allVisible) this.reveal();
  }

  #store(change: Change): void {
    const table = this.physical(change.table);
    if (change.kind === 'truncate') {
      table.slots.clear();
      table.relfilenode = this.#nextRelfilenode++;
      return;
    }
    if (change.kind !== 'insert') {
      for (const [slot, row] of table.slots) if (row.id === change.id) table.slots.delete(slot);
    }
    if (change.kind !== 'delete') table.slots.set(this.#freeSlot(table), change.row);
  }

  /** Anywhere: before or behind whatever is being read. */
  #freeSlot(table: Physical): number {
    const bound = table.slots.size + 4;
    for (;;) {
      const slot = this.#random.int(bound * 2);
      if (!table.slots.has(slot)) return slot;
    }
  }

  /** VACUUM FULL: same rows, other places, nothing in the log. */
  rewrite(name: TableName): void {
    this.revealAll();
    const table = this.physical(name);
    const rows = [...table.slots.values()];
    table.slots.clear();
    for (const row of rows) table.slots.set(this.#freeSlot(table), row);
    table.relfilenode = this.#nextRelfilenode++;
  }

  physical(name: TableName): Physical {
    const table = this.#physical.get(name);
    if (table === undefined) throw new Error(`no table ${name}`);
    return table;
  }

  /** Keys that a transaction in progress elsewhere has changed cannot be changed now. */
  revealKey(table: TableName, id: string): void {
    const touches = (transaction: ModelTransaction) =>
      transaction.changes.some(
        (change) =>
          change.table === table &&
          (change.kind === 'truncate' ||
            ('id' in change && change.id === id) ||
            ('row' in change && change.row.id === id)),
      );
    while (this.log.slice(this.#visible).some(touches)) this.reveal();
  }
}

function applyTo(state: Map<string, ModelRow>, change: Change): void {
  switch (change.kind) {
    case 'truncate':
      for (const key of state.keys()) if (key.startsWith(`${change.table}/`)) state.delete(key);
      return;
    case 'update':
      if (!state.delete(`${change.table}/${change.id}`)) throw new Error(`update of nothing: ${change.id}`);
      break;
    case 'delete':
      if (!state.delete(`${change.table}/${change.id}`)) throw new Error(`delete of nothing: ${change.id}`);
      return;
    case 'insert':
      break;
  }
  const key = `${change.table}/${change.row.id}`;
  if (state.has(key)) throw new Error(`duplicate key ${key}`);
  state.set(key, change.row);
}

export function rawRow(row: ModelRow): RawRow {
  return [row.id, row.owner, row.text, row.long];
}

/** What a logical decoder sends of a transaction. */
export function eventsOf(transaction: ModelTransaction, relations: ReadonlyMap<string, Relation>): StreamEvent[] {
  const relationOf = (table: TableName) => relations.get(table) as Relation;
  return [
    { kind: 'begin', boundary: transaction.boundary, committedAtMs: 0 },
    ...transaction.changes.map((change): StreamEvent => {
      const relation = relationOf(change.table);
      switch (change.kind) {
        case 'insert':
          return { kind: 'insert', relation, row: rawRow(change.row) };
        case 'delete':
          return { kind: 'delete', relation, before: [change.id, undefined, undefined, undefined] };
        case 'truncate':
          return { kind: 'truncate', relations: [relation] };
        case 'update': {
          const { id, owner, text, long } = change.row;
          const before = change.id === id ? null : [change.id, undefined, undefined, undefined];
          return { kind: 'update', relation, before, row: [id, owner, text, change.whole ? long : undefined] };
        }
      }
    }),
    { kind: 'commit', position: transaction.position, committedAtMs: 0 },
  ];
}
