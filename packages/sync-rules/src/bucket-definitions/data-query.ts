/** One entry of `data`: which rows of a table are in which buckets of the definition, and as what. */
import type { RowSink, TablePattern } from '../api.ts';
import type { CompileContext } from '../definition.ts';
import type { SqlScalar } from '../document.ts';
import { outputTypes } from '../expression/output-types.ts';
import { compileProjection, type Projection, projectionText } from '../expression/projection.ts';
import { bucketJson } from '../json.ts';
import { Reporter } from '../reporter.ts';
import type { SelectStatement } from '../sql/ast.ts';
import type { TableCompiler } from '../table-compiler.ts';
import { matchesTable, tablePatternText, tableSuffix } from '../table-pattern.ts';
import type { SyncedQuery } from '../synced-query.ts';
import { type Assignment, type Condition, compileCondition, conditionText } from './condition.ts';
import { ConditionBuilder } from './condition-builder.ts';
import { buildContext, type QueryContext } from './expressions.ts';
import { bindRow, type Input, inputText } from './input.ts';
import { firstStar, projectionOf, selectsId } from './outputs.ts';
import { type QueryTable, queryTable, selectOf } from './query-source.ts';

export interface DataQuery {
  readonly pattern: TablePattern;
  /** Name of the rows' table at clients; null: that of the source table. */
  readonly outputTable: string | null;
  readonly projection: Projection<Input>;
  /** Null: every row. */
  readonly condition: Condition | null;
  /** For each bucket parameter, in the order of the bucket's name, its slot in the condition. */
  readonly parameterSlots: readonly number[];
}

export interface DataQueryOptions {
  readonly context: CompileContext;
  /** Names of the definition's parameters; null if its parameter queries cannot be used. */
  readonly parameters: readonly string[] | null;
}

/** Null if anything is wrong; everything wrong has been reported then. */
export function readDataQuery(scalar: SqlScalar, { context, parameters }: DataQueryOptions): DataQuery | null {
  const reporter = new Reporter(scalar, context.diagnostics);
  if (parameters === null) {
    reporter.addWhole('no-parameter-query');
    return null;
  }
  const select = selectOf(reporter);
  const table = select === null ? null : queryTable(select, context, reporter);
  if (select === null || table === null) return null;
  const query: QueryContext = { context, reporter, scope: { kind: 'data', table } };
  const builder = new ConditionBuilder(buildContext(query), true);
  const condition = select.where === null ? null : builder.condition(select.where);
  const projection = projectionOf(select, table, { builder, query });
  checkId(select, table, reporter);
  if (select.where !== null && condition === null) return null;
  const parameterSlots = coveredSlots(builder, parameters);
  if (parameterSlots === null) reporter.addWhole('uncovered-parameters', coverage(builder, parameters));
  if (projection === null || parameterSlots === null) return null;
  return { pattern: table.pattern, outputTable: outputTable(table), projection, condition, parameterSlots };
}

function outputTable({ source, pattern }: QueryTable): string | null {
  return source.alias?.name ?? (pattern.wildcard ? null : pattern.name);
}

function checkId(select: SelectStatement, table: QueryTable, reporter: Reporter): void {
  const star = firstStar(select);
  if (!selectsId(select)) reporter.add('missing-id', select.items[0] ?? select);
  else if (star !== null && table.knownColumns?.has('id') === false) {
    const named = select.items.some((item) => item.kind === 'expression' && item.alias?.name === 'id');
    if (!named) reporter.add('star-without-id', star, table.source.name.name);
  }
}

function namesOf(builder: ConditionBuilder): string[] {
  return builder.slots.map(({ plan }) =>
    plan.op === 'input' && plan.input.kind === 'bucketParameter' ? plan.input.name : '',
  );
}

/** Null unless the condition uses exactly these parameters. A name that comes twice cannot be covered. */
function coveredSlots(builder: ConditionBuilder, parameters: readonly string[]): readonly number[] | null {
  const names = namesOf(builder);
  const slots = parameters.map((name) => names.indexOf(name));
  const exact = names.length === parameters.length && new Set(slots).size === slots.length && !slots.includes(-1);
  return exact ? slots : null;
}

function coverage(builder: ConditionBuilder, parameters: readonly string[]): string {
  const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
  return `the definition has ${list(parameters)}, the query uses ${list(namesOf(builder))}`;
}

export function syncedQuery({ pattern, outputTable: name, projection }: DataQuery): SyncedQuery {
  return {
    pattern,
    outputTable: name,
    hasStar: projection.items.some((item) => item.kind === 'star'),
    outputs: (columns) =>
      outputTypes(projection, columns, (input) => {
        if (input.kind !== 'column') return 'text';
        return columns.find((column) => column.name === input.name)?.type ?? 'text';
      }),
  };
}

export function dataQueryText({
  pattern,
  outputTable: name,
  projection,
  condition,
  parameterSlots,
}: DataQuery): string {
  const where = condition === null ? '' : conditionText(condition);
  const columns = projectionText(projection, inputText);
  return `data(${tablePatternText(pattern)} ${JSON.stringify(name)} ${columns} ${where} [${parameterSlots.join()}])`;
}

/** Evaluates the query for one row. Throws EvaluationError. */
export type DataQueryPart<Row, Json> = (row: Row, sink: RowSink<Json>) => void;

/**
 * Null if the query does not read the table.
 * @param bucketHead the bucket's name up to the values of its parameters
 */
export function compileDataQuery<Row, Json>(
  query: DataQuery,
  compiler: TableCompiler<Row, Json>,
  bucketHead: string,
): DataQueryPart<Row, Json> | null {
  const { table } = compiler;
  if (!matchesTable(query.pattern, table)) return null;
  const suffix = query.pattern.wildcard ? tableSuffix(query.pattern, table.name) : '';
  const bind = bindRow(compiler, suffix);
  const projectionKey = `${projectionText(query.projection, inputText)} ${JSON.stringify(suffix)}`;
  const project = compiler.oncePerRow(projectionKey, () => compileProjection(query.projection, compiler, bind));
  const objectType = query.outputTable ?? table.name;
  const globalBucket = `${bucketHead}[]`;
  if (query.condition === null) {
    return (row, sink) => {
      const { json, id } = project(row);
      sink.data(globalBucket, objectType, id, json);
    };
  }
  const match = compileCondition(query.condition, bind);
  const name = bucketNamer(bucketHead, query.parameterSlots);
  return (row, sink) => {
    const assignments = match(row);
    if (assignments.length === 0) return;
    const { json, id } = project(row);
    for (const assignment of assignments) sink.data(name(assignment), objectType, id, json);
  };
}

function bucketNamer(head: string, slots: readonly number[]): (assignment: Assignment) => string {
  const [only] = slots;
  if (only !== undefined && slots.length === 1) return (assignment) => `${head}[${bucketJson(assignment[only])}]`;
  return (assignment) => head + bucketJson(slots.map((slot) => assignment[slot]));
}
