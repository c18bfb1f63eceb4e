/**
 * What rows and synced objects are made of. A format is chosen once per (rules, source); the functions it makes are
 * chosen once per column or query of a table and then called per row.
 */
import type { ObjectId } from './synced-bytes.ts';
import type { TableShape } from './table-shape.ts';
import type { Value } from './value.ts';

export type ColumnShape = TableShape['columns'][number];

/** A column and its position in the table. */
export interface PlacedColumn {
  readonly column: ColumnShape;
  readonly index: number;
}

/** Rows of one kind, and the JSON of synced objects as whoever asks for them wants it: as text, or as bytes. */
export interface RowFormat<Row, Json> {
  /** A column for expressions. What was not sent is undefined. */
  reader(column: PlacedColumn): (row: Row) => Value;
  /** The text of the key `id`, if there is one: empty for null, blobs, and what was not sent. */
  idReader(id: ObjectKey<Row> | undefined): (row: Row) => ObjectId<Json>;
  /** Objects of these keys, in this order. Keys whose value is absent or a blob are left out. */
  objectWriter(keys: readonly ObjectKey<Row>[]): (row: Row) => Json;
}

export interface ObjectKey<Row> {
  readonly name: string;
  /** Null if the value is not just a column's. */
  readonly column: PlacedColumn | null;
  readonly value: (row: Row) => Value;
}
