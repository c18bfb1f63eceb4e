/** What compiling rules for one table shares: readers of its columns, made once each. */
import type { TableShape } from './table-shape.ts';
import type { PlacedColumn, RowFormat } from './row-format.ts';
import type { Value } from './value.ts';

export class TableCompiler<Row, Json> {
  readonly table: TableShape;
  readonly format: RowFormat<Row, Json>;
  readonly #values = new Map<string, (row: Row) => Value>();

  readonly #shared = new Map<string, (row: Row) => unknown>();
  readonly #reads = new Set<number>();
  #rowNumber = 0;

  constructor(table: TableShape, format: RowFormat<Row, Json>) {
    this.table = table;
    this.format = format;
  }

  /** Reads a column as a value; undefined for a column the table does not have, and for a cell that was not sent. */
  column(name: string): (row: Row) => Value {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const placed = this.placed(name);
    const read = placed === null ? () => undefined : this.format.reader(placed);
    this.#values.set(name, read);
    return read;
  }

  /** Null for a column the table does not have. */
  placed(name: string): PlacedColumn | null {
    const index = this.table.columns.findIndex((column) => column.name === name);
    const column = this.table.columns[index];
    if (column === undefined) return null;
    this.#reads.add(index);
    return { column, index };
  }

  /** Positions of the columns that were asked for so far. */
  get reads(): readonly number[] {
    return [...this.#reads].sort((a, b) => a - b);
  }

  /** To be called before each row: what was computed for the one before is forgotten. */
  nextRow(): void {
    this.#rowNumber++;
  }

  /**
   * A function of the row that several queries use: made once a key, called once a row.
   * @param key says all that the function depends on beside the row
   */
  oncePerRow<Result>(key: string, make: () => (row: Row) => Result): (row: Row) => Result {
    const known = this.#shared.get(key);
    // One key always stands for one function, hence for one type.
    if (known !== undefined) return known as (row: Row) => Result;
    const compute = make();
    let computedFor = -1;
    let result: Result;
    const shared = (row: Row): Result => {
      if (computedFor !== this.#rowNumber) {
        result = compute(row);
        computedFor = this.#rowNumber;
      }
      return result;
    };
    this.#shared.set(key, shared);
    return shared;
  }
}
