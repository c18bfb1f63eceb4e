/**
 * The synced object of a row: which keys, in which order, from which cells. Compiled to one pass that writes JSON
 * directly: no object is built, and plain columns go straight from the row to JSON.
 */
import { invariant } from '@sluice/core';
import type { ObjectId } from '../synced-bytes.ts';
import type { ObjectKey, PlacedColumn } from '../row-format.ts';
import type { TableCompiler } from '../table-compiler.ts';
import type { Value } from '../value.ts';
import { type Bind, compilePlan } from './compile.ts';
import { type Plan, planText } from './plan.ts';

export type ProjectionItem<Input> =
  /** A plain column under a name. */
  | { readonly kind: 'column'; readonly name: string; readonly column: string }
  | { readonly kind: 'plan'; readonly name: string; readonly plan: Plan<Input> }
  /** All columns of the table. */
  | { readonly kind: 'star' };

export interface Projection<Input> {
  readonly items: readonly ProjectionItem<Input>[];
  /**
   * `fill` (editions 1 and 2): a star leaves out names that start with `_` and only fills keys that are null or absent
   * so far. `overwrite` (edition 3): later items replace earlier ones, a star takes every column.
   */
  readonly stars: 'fill' | 'overwrite';
}

/** A row as it is synced. */
export interface SyncedRow<Json> {
  readonly json: Json;
  /** Text form of its `id`; empty if that is null, absent or a blob. */
  readonly id: ObjectId<Json>;
}

export function projectionText<Input>(projection: Projection<Input>, inputText: (input: Input) => string): string {
  const items = projection.items.map((item) => {
    if (item.kind === 'star') return '*';
    const value = item.kind === 'column' ? `[${JSON.stringify(item.column)}]` : planText(item.plan, inputText);
    return `${JSON.stringify(item.name)}=${value}`;
  });
  return `${projection.stars}(${items.join(', ')})`;
}

/** One source of a key's value. */
interface Cell<Row> {
  /** Null for an expression, and for a column that the table does not have. */
  readonly column: PlacedColumn | null;
  readonly value: (row: Row) => Value;
}

interface Key<Row> {
  readonly name: string;
  /** The first is used; the others, in order, while those before give null or nothing. */
  cells: Cell<Row>[];
}

/** @throws EvaluationError (when called) for a row that an output cannot be computed of */
export function compileProjection<Input, Row, Json>(
  projection: Projection<Input>,
  compiler: TableCompiler<Row, Json>,
  bind: Bind<Input, Row>,
): (row: Row) => SyncedRow<Json> {
  const keys = collectKeys(projection, compiler, bind).map(objectKey);
  const id = keys.find(({ name }) => name === 'id');
  const writeJson = compiler.format.objectWriter(keys);
  const readId = compiler.format.idReader(id);
  return (row) => ({ json: writeJson(row), id: readId(row) });
}

function collectKeys<Input, Row, Json>(
  projection: Projection<Input>,
  compiler: TableCompiler<Row, Json>,
  bind: Bind<Input, Row>,
): Key<Row>[] {
  const keys = new Map<string, Key<Row>>();
  const assign = (name: string, cell: Cell<Row>, fill: boolean): void => {
    const key = keys.get(name);
    if (key === undefined) keys.set(name, { name, cells: [cell] });
    else if (fill) key.cells.push(cell);
    else key.cells = [cell];
  };
  const fill = projection.stars === 'fill';
  for (const item of projection.items) {
    if (item.kind === 'column') assign(item.name, columnCell(compiler, item.column), false);
    else if (item.kind === 'plan') assign(item.name, { column: null, value: compilePlan(item.plan, bind) }, false);
    else {
      for (const { name } of compiler.table.columns) {
        if (!fill || !name.startsWith('_')) assign(name, columnCell(compiler, name), fill);
      }
    }
  }
  return inObjectOrder([...keys.values()]);
}

const ARRAY_INDEX = /^(?:0|[1-9]\d{0,9})$/;

/** The order of a JavaScript object: array indexes first, ascending. Clients compare texts made in that order. */
function inObjectOrder<Row>(keys: readonly Key<Row>[]): Key<Row>[] {
  const isIndex = (name: string): boolean => ARRAY_INDEX.test(name) && Number(name) < 2 ** 32 - 1;
  const indexes = keys.filter(({ name }) => isIndex(name));
  indexes.sort((left, right) => Number(left.name) - Number(right.name));
  return [...indexes, ...keys.filter(({ name }) => !isIndex(name))];
}

function columnCell<Row, Json>(compiler: TableCompiler<Row, Json>, name: string): Cell<Row> {
  return { column: compiler.placed(name), value: compiler.column(name) };
}

function objectKey<Row>({ name, cells }: Key<Row>): ObjectKey<Row> {
  const [first, ...others] = cells;
  invariant(first !== undefined, 'projection: a key without a cell');
  if (others.length === 0) return { name, ...first };
  return { name, column: null, value: (row) => firstValue(cells, row) };
}

function firstValue<Row>(cells: readonly Cell<Row>[], row: Row): Value {
  let found: Value;
  for (const { value } of cells) {
    found = value(row);
    if (found !== null && found !== undefined) return found;
  }
  return found;
}
