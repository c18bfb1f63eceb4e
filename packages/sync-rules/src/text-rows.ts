/** Rows as lists of cells, and synced objects as JSON text. */
import type { ColumnShape, ObjectKey, RowFormat } from './row-format.ts';
import { valueJson } from './json.ts';
import { idText, type Value } from './value.ts';

/** How the cells of one kind of row become values and JSON. `undefined` (not sent) stays undefined. */
export interface CellFormat<Cell> {
  reader(column: ColumnShape): (cell: Cell) => Value;
  /** Same result as `idText(reader(column)(cell))`. */
  idReader(column: ColumnShape): (cell: Cell) => string;
  /** Same result as `valueJson(reader(column)(cell))`, without the value in between where that is possible. */
  jsonWriter(column: ColumnShape): (cell: Cell) => string | undefined;
}

export function textRows<Cell>(cells: CellFormat<Cell>): RowFormat<readonly Cell[], string> {
  // A row has a cell for each column of its table, so the cell is there, if only as undefined.
  return {
    reader: ({ column, index }) => {
      const read = cells.reader(column);
      return (row) => read(row[index] as Cell);
    },
    idReader: (id) => {
      if (id === undefined) return () => '';
      if (id.column === null) return (row) => idText(id.value(row));
      const { column, index } = id.column;
      const read = cells.idReader(column);
      return (row) => read(row[index] as Cell);
    },
    objectWriter: (keys) => objectWriter(cells, keys),
  };
}

function objectWriter<Cell>(
  cells: CellFormat<Cell>,
  keys: readonly ObjectKey<readonly Cell[]>[],
): (row: readonly Cell[]) => string {
  const heads = keys.map(({ name }) => `${JSON.stringify(name)}:`);
  const writers = keys.map((key) => keyWriter(cells, key));
  return (row) => {
    let json = '{';
    for (let index = 0; index < writers.length; index++) {
      const value = writers[index]?.(row);
      if (value === undefined) continue;
      json += json.length === 1 ? heads[index] : `,${heads[index]}`;
      json += value;
    }
    return `${json}}`;
  };
}

function keyWriter<Cell>(
  cells: CellFormat<Cell>,
  { column: placed, value }: ObjectKey<readonly Cell[]>,
): (row: readonly Cell[]) => string | undefined {
  if (placed === null) return (row) => valueJson(value(row));
  const { column, index } = placed;
  const write = cells.jsonWriter(column);
  return (row) => write(row[index] as Cell);
}
