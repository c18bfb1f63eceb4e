/**
 * How the cells of one kind of row become values and JSON. A format is chosen once per (rules, source); the functions
 * it makes are chosen once per column of a table and then called per row.
 */
import type { TableShape } from './api.ts';
import type { Value } from './value.ts';

export type ColumnShape = TableShape['columns'][number];

/** A cell for expressions. `undefined` (not sent) stays undefined. */
export type ValueReader<Cell> = (cell: Cell) => Value;

/** A cell as it stands in a synced object; undefined leaves it out (blobs, cells that are absent). */
export type JsonWriter<Cell> = (cell: Cell) => string | undefined;

export interface RowFormat<Cell> {
  reader(column: ColumnShape): ValueReader<Cell>;
  /** Same result as `valueJson(reader(column)(cell))`, without the value in between where that is possible. */
  jsonWriter(column: ColumnShape): JsonWriter<Cell>;
}
