/** Tables of the simulated source: what the catalogue says of them, and their rows as its reads and its log see them. */
import type { RawRow, RawValue, Relation, ReplicaIdentity } from '@sluice/core';

/** Values by attribute number; a row that is older than a column ends before it. */
export type Row = readonly (string | null)[];

/** Rows by key. */
export type Rows = ReadonlyMap<string, Row>;

export interface ModelColumn {
  /** Attribute number: stays when the name changes, is never given again. */
  readonly attribute: number;
  readonly name: string;
  readonly typeId: number;
  /** What rows have that are older than the column. */
  readonly missing: string | null;
}

/** What of a table is in the log. */
export interface Publication {
  /** Another one with each change: a table that is taken out and put back is not published as it was. */
  readonly version: number;
  readonly isPublished: boolean;
  /** Rows of lower keys are left out. */
  readonly from: string;
}

/** A table as the catalogue describes it at one moment. */
export interface Shape {
  readonly oid: string;
  readonly publication: Publication;
  readonly name: string;
  readonly identity: ReplicaIdentity;
  readonly columns: readonly ModelColumn[];
  readonly relation: Relation;
}

export const ID = 0;
export const OWNER = 1;
export const TEXT = 2;
export const LONG = 3;

/** Whether the value is kept out of line: an update that does not touch it leaves it out. */
export function isLong(value: RawValue): boolean {
  return value?.startsWith('long') === true;
}

const FIRST_COLUMNS: readonly ModelColumn[] = ['id', 'owner', 'text', 'long'].map((name, attribute) => ({
  attribute,
  name,
  typeId: 25,
  missing: null,
}));

export function newShape(oid: string, name: string): Shape {
  const publication = { version: 0, isPublished: true, from: '' };
  return shapeOf({ oid, publication, name, identity: 'default', columns: FIRST_COLUMNS });
}

export function isPublished({ publication }: Shape, row: Row): boolean {
  return publication.isPublished && keyOf(row) >= publication.from;
}

export function shapeOf(shape: Omit<Shape, 'relation'>): Shape {
  const columns = shape.columns.map(({ name, typeId, attribute }) => ({
    name,
    type: 'text',
    typeId,
    typeModifier: -1,
    key: shape.identity === 'full' || (shape.identity === 'default' && attribute === ID),
  }));
  const { oid: sourceId, name, identity: replicaIdentity } = shape;
  return {
    ...shape,
    relation: { sourceId, connectionTag: 'default', schema: 'public', name, replicaIdentity, columns },
  };
}

/** The row as the source sends it, in the order of the shape's columns. */
export function rawRow({ columns }: Pick<Shape, 'columns'>, row: Row): RawRow {
  return columns.map(({ attribute, missing }) => (attribute < row.length ? (row[attribute] ?? null) : missing));
}

/** The row as it is written now: columns that are newer than it have what they have for it. */
export function stored({ columns }: Shape, row: Row): Row {
  const written = [...row];
  for (const { attribute, missing } of columns) {
    while (written.length < attribute) written.push(null);
    if (written.length === attribute) written.push(missing);
  }
  return written;
}

export function keyOf(row: Row): string {
  return row[ID] ?? '';
}

/** Where the table's rows lie for those who read it: a file of slots. Another file means that every place is another. */
export class Heap {
  file: number;
  readonly slots = new Map<number, Row>();

  constructor(file: number) {
    this.file = file;
  }

  put(row: Row, place: number): void {
    this.slots.set(this.#freeSlot(place), row);
  }

  remove(key: string): void {
    for (const [slot, row] of this.slots) if (keyOf(row) === key) this.slots.delete(slot);
  }

  get(key: string): Row | undefined {
    for (const row of this.slots.values()) if (keyOf(row) === key) return row;
    return undefined;
  }

  /** Anywhere, before or behind whatever is being read; the same for the same history. */
  #freeSlot(place: number): number {
    const bound = 2 * (this.slots.size + 4);
    let slot = (Math.imul(place + 1, 0x9e37_79b1) >>> 8) % bound;
    while (this.slots.has(slot)) slot = (slot + 1) % bound;
    return slot;
  }
}

/** One table at one moment, for the log and the oracle. */
export interface ModelTable {
  readonly shape: Shape;
  readonly rows: Rows;
}

/** All tables by oid. */
export type DatabaseState = ReadonlyMap<string, ModelTable>;
