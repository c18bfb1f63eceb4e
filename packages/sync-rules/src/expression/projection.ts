/**
 * The synced object of a row: which keys, in which order, from which cells. Compiled to one pass that writes JSON
 * directly: no object is built, and plain columns go from cell to JSON text.
 */
import { invariant } from '@sluice/core';
import { valueJson } from '../json.ts';
import type { TableCompiler } from '../table-compiler.ts';
import { isBlob, toText, type Value } from '../value.ts';
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
export interface SyncedRow {
  /** JSON text of the object. */
  readonly json: string;
  /** Text form of its `id`; empty if that is null, absent or a blob. */
  readonly id: string;
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
  readonly json: (row: Row) => string | undefined;
  readonly value: (row: Row) => Value;
}

interface Key<Row> {
  readonly name: string;
  /** The first is used; the others, in order, while those before give null or nothing. */
  cells: Cell<Row>[];
}

/** @throws EvaluationError (when called) for a row that an output cannot be computed of */
export function compileProjection<Input, CellType>(
  projection: Projection<Input>,
  compiler: TableCompiler<CellType>,
  bind: Bind<Input, readonly CellType[]>,
): (row: readonly CellType[]) => SyncedRow {
  const keys = collectKeys(projection, compiler, bind);
  const id = keys.find(({ name }) => name === 'id');
  const writeJson = objectWriter(keys);
  const readId = id === undefined ? () => '' : idReader(id.cells);
  return (row) => ({ json: writeJson(row), id: readId(row) });
}

function collectKeys<Input, CellType>(
  projection: Projection<Input>,
  compiler: TableCompiler<CellType>,
  bind: Bind<Input, readonly CellType[]>,
): Key<readonly CellType[]>[] {
  const keys = new Map<string, Key<readonly CellType[]>>();
  const assign = (name: string, cell: Cell<readonly CellType[]>, fill: boolean): void => {
    const key = keys.get(name);
    if (key === undefined) keys.set(name, { name, cells: [cell] });
    else if (fill) key.cells.push(cell);
    else key.cells = [cell];
  };
  const fill = projection.stars === 'fill';
  for (const item of projection.items) {
    if (item.kind === 'column') assign(item.name, columnCell(compiler, item.column), false);
    else if (item.kind === 'plan') assign(item.name, planCell(compilePlan(item.plan, bind)), false);
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

function columnCell<CellType>(compiler: TableCompiler<CellType>, name: string): Cell<readonly CellType[]> {
  return { json: compiler.columnJson(name), value: compiler.column(name) };
}

function planCell<Row>(value: (row: Row) => Value): Cell<Row> {
  return { json: (row) => valueJson(value(row)), value };
}

function objectWriter<Row>(keys: readonly Key<Row>[]): (row: Row) => string {
  const heads = keys.map(({ name }) => `${JSON.stringify(name)}:`);
  const writers = keys.map(({ cells }) => keyWriter(cells));
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

function keyWriter<Row>(cells: readonly Cell<Row>[]): (row: Row) => string | undefined {
  const [first, ...others] = cells;
  invariant(first !== undefined, 'projection: a key without a cell');
  if (others.length === 0) return first.json;
  return (row) => valueJson(firstValue(cells, row));
}

function firstValue<Row>(cells: readonly Cell<Row>[], row: Row): Value {
  let found: Value;
  for (const { value } of cells) {
    found = value(row);
    if (found !== null && found !== undefined) return found;
  }
  return found;
}

function idReader<Row>(cells: readonly Cell<Row>[]): (row: Row) => string {
  return (row) => {
    const value = firstValue(cells, row);
    if (typeof value === 'string') return value;
    return isBlob(value) ? '' : (toText(value) ?? '');
  };
}
