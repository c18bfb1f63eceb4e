/** Rows of a stream's tables: those that are synced, and those that lead from keys to values. */
import { invariant } from '@sluice/core';
import type { RowSink } from '../api.ts';
import { EvaluationError } from '../evaluation-error.ts';
import { type Bind, compilePlan, type Getter } from '../expression/compile.ts';
import { outputTypes } from '../expression/output-types.ts';
import { compileProjection } from '../expression/projection.ts';
import { jsonEach, type JsonEachRow } from '../functions/json-each.ts';
import { bucketJson, valueJson } from '../json.ts';
import type { JsonMode } from '../json-path.ts';
import type { TableCompiler } from '../table-compiler.ts';
import { tableSuffix } from '../table-pattern.ts';
import { isParameter, isTrue, type ParameterValue, type Value } from '../value.ts';
import type { SyncedQuery } from '../synced-query.ts';
import { lookupKeys } from './lookup-key.ts';
import type { BucketRowPlan, IndexPlan, RowInput, RowPlan } from './plan.ts';

/** Of elements of the arrays of one row. */
const COMBINATIONS_MAX = 100_000;

export interface RowSideOptions<Row, Json> {
  readonly compiler: TableCompiler<Row, Json>;
  readonly mode: JsonMode;
  /** Name of the definition that errors belong to. */
  readonly definition: string;
}

export type RowStep<Row, Json> = (row: Row, sink: RowSink<Json>) => void;

/** @param bucketName name of the bucket before its parameters */
export function compileBucketRows<Row, Json>(
  plan: BucketRowPlan,
  bucketName: string,
  options: RowSideOptions<Row, Json>,
): RowStep<Row, Json> {
  const { compiler } = options;
  const project = compileProjection(plan.projection, compiler, columnBind(compiler, plan));
  const objectType = plan.outputName ?? compiler.table.name;
  const keysOf = compileKeys(plan, plan.keys, options);
  const bucketOf = (keys: readonly ParameterValue[]): string => `${bucketName}[${keys.map(bucketJson).join(',')}]`;
  return isolated(options.definition, (row, sink) => {
    const buckets = keysOf(row).map(bucketOf);
    if (buckets.length === 0) return;
    const { json, id } = project(row);
    for (const bucket of buckets.length === 1 ? buckets : new Set(buckets)) sink.data(bucket, objectType, id, json);
  });
}

export function syncedQuery({ table, outputName, projection }: BucketRowPlan): SyncedQuery {
  return {
    pattern: table,
    outputTable: outputName,
    hasStar: projection.items.some((item) => item.kind === 'star'),
    outputs: (columns) =>
      outputTypes(projection, columns, (input) => {
        if (input.kind !== 'column') return 'text';
        return columns.find((column) => column.name === input.name)?.type ?? 'text';
      }),
  };
}

export function compileIndexRows<Row, Json>(plan: IndexPlan, options: RowSideOptions<Row, Json>): RowStep<Row, Json> {
  const keyText = lookupKeys(plan);
  const keyCount = plan.keys.length;
  const valuesOf = compileKeys(plan, [...plan.keys, ...plan.outputs], options);
  return isolated(options.definition, (row, sink) => {
    const found = new Map<string, Set<string>>();
    for (const values of valuesOf(row)) {
      const key = keyText(values.slice(0, keyCount));
      const sets = found.get(key) ?? new Set();
      sets.add(parameterSet(values.slice(keyCount)));
      found.set(key, sets);
    }
    for (const [key, sets] of found) sink.lookup(key, `[${[...sets].join(',')}]`);
  });
}

/** `{"0":…,"1":…}` */
function parameterSet(outputs: readonly ParameterValue[]): string {
  return `{${outputs.map((value, index) => `"${index}":${valueJson(value) ?? 'null'}`).join(',')}}`;
}

/** Nothing is emitted for a row that cannot be computed; the error is reported. */
function isolated<Row, Json>(definition: string, step: RowStep<Row, Json>): RowStep<Row, Json> {
  return (row, sink) => {
    try {
      step(row, sink);
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      sink.error(definition, error.message);
    }
  };
}

interface RowWithElements<Row> {
  readonly row: Row;
  /** One of each array of the row. */
  readonly elements: readonly JsonEachRow[];
}

type Keys = readonly ParameterValue[];

/** For every combination of elements that passes the filters and has a usable value for each plan: the values. */
function compileKeys<Row, Json>(
  plan: RowPlan,
  plans: readonly RowPlan['keys'][number][],
  { compiler, mode }: RowSideOptions<Row, Json>,
): (row: Row) => readonly Keys[] {
  const { eaches, filters } = plan;
  const ofColumn = columnBind(compiler, plan);
  if (eaches.length === 0) {
    const match = compileMatch(
      filters.map((plan) => compilePlan(plan, ofColumn)),
      plans.map((plan) => compilePlan(plan, ofColumn)),
    );
    return (row) => {
      const keys = match(row);
      return keys === null ? [] : [keys];
    };
  }
  const bind: Bind<RowInput, RowWithElements<Row>> = (input) => {
    if (input.kind === 'element') return ({ elements }) => elements[input.each]?.[input.field];
    const column = ofColumn(input);
    return ({ row }) => column(row);
  };
  const match = compileMatch(
    filters.map((plan) => compilePlan(plan, bind)),
    plans.map((plan) => compilePlan(plan, bind)),
  );
  const arrays = eaches.map((plan) => compilePlan(plan, ofColumn));
  return (row) => {
    const found: Keys[] = [];
    for (const elements of combinations(arrays.map((array) => jsonEach(array(row), mode)))) {
      const keys = match({ row, elements });
      if (keys !== null) found.push(keys);
    }
    return found;
  };
}

function columnBind<Row, Json>(compiler: TableCompiler<Row, Json>, { table }: RowPlan): Bind<RowInput, Row> {
  return (input) => {
    invariant(input.kind !== 'element', 'streams: elements are not columns');
    if (input.kind === 'column') return compiler.column(input.name);
    const suffix = tableSuffix(table, compiler.table.name);
    return () => suffix;
  };
}

/** All filters and all values are computed, whatever the others say: an error in one is an error of the row. */
function compileMatch<Context>(
  filters: readonly Getter<Context>[],
  values: readonly Getter<Context>[],
): (context: Context) => Keys | null {
  return (context) => {
    let passes = true;
    for (const filter of filters) if (!isTrue(filter(context))) passes = false;
    if (!passes) return null;
    const keys: ParameterValue[] = [];
    for (const value of values) {
      const key: Value = value(context);
      if (isParameter(key)) keys.push(key);
    }
    return keys.length === values.length ? keys : null;
  };
}

function combinations<Item>(lists: readonly (readonly Item[])[]): readonly (readonly Item[])[] {
  let product: readonly (readonly Item[])[] = [[]];
  const count = lists.reduce((total, list) => total * list.length, 1);
  if (count > COMBINATIONS_MAX)
    throw new EvaluationError(`the arrays of the row have more than ${COMBINATIONS_MAX} combinations`);
  for (const list of lists) product = product.flatMap((chosen) => list.map((item) => [...chosen, item]));
  return product;
}
