/** What compiling rules for one table shares: readers of its columns, made once each. */
import type { TableShape } from './api.ts';
import type { ColumnShape, RowFormat } from './row-format.ts';
import type { Value } from './value.ts';

export class TableCompiler<Cell> {
  readonly table: TableShape;
  readonly #format: RowFormat<Cell>;
  readonly #values = new Map<string, (row: readonly Cell[]) => Value>();
  readonly #texts = new Map<string, (row: readonly Cell[]) => string | undefined>();

  readonly #shared = new Map<string, (row: readonly Cell[]) => unknown>();
  #rowNumber = 0;

  constructor(table: TableShape, format: RowFormat<Cell>) {
    this.table = table;
    this.#format = format;
  }

  /** Reads a column as a value; undefined for a column the table does not have, and for a cell that was not sent. */
  column(name: string): (row: readonly Cell[]) => Value {
    return memo(this.#values, name, () => this.#onCell(name, (column) => this.#format.reader(column)));
  }

  /** Reads a column as JSON text; undefined for what a synced object leaves out. */
  columnJson(name: string): (row: readonly Cell[]) => string | undefined {
    return memo(this.#texts, name, () => this.#onCell(name, (column) => this.#format.jsonWriter(column)));
  }

  /** To be called before each row: what was computed for the one before is forgotten. */
  nextRow(): void {
    this.#rowNumber++;
  }

  /**
   * A function of the row that several queries use: made once a key, called once a row.
   * @param key says all that the function depends on beside the row
   */
  oncePerRow<Result>(key: string, make: () => (row: readonly Cell[]) => Result): (row: readonly Cell[]) => Result {
    const known = this.#shared.get(key);
    // One key always stands for one function, hence for one type.
    if (known !== undefined) return known as (row: readonly Cell[]) => Result;
    const compute = make();
    let computedFor = -1;
    let result: Result;
    const shared = (row: readonly Cell[]): Result => {
      if (computedFor !== this.#rowNumber) {
        result = compute(row);
        computedFor = this.#rowNumber;
      }
      return result;
    };
    this.#shared.set(key, shared);
    return shared;
  }

  #onCell<Result>(
    name: string,
    make: (column: ColumnShape) => (cell: Cell) => Result,
  ): (row: readonly Cell[]) => Result | undefined {
    const index = this.table.columns.findIndex((column) => column.name === name);
    const column = this.table.columns[index];
    if (column === undefined) return () => undefined;
    const read = make(column);
    // A row has a cell for each column of its table, so the cell is there, if only as undefined.
    return (row) => read(row[index] as Cell);
  }
}

function memo<Made>(made: Map<string, Made>, name: string, make: () => Made): Made {
  const known = made.get(name);
  if (known !== undefined) return known;
  const fresh = make();
  made.set(name, fresh);
  return fresh;
}
