/** Rows of the parameter index that a table-backed parameter query makes of one source row. */
import { compilePlan } from '../expression/compile.ts';
import { planText } from '../expression/plan.ts';
import { bucketJson, jsonString, type JsonValue, valueJson } from '../json.ts';
import type { RowPart } from '../definition.ts';
import type { TableCompiler } from '../table-compiler.ts';
import { matchesTable, tablePatternText } from '../table-pattern.ts';
import { compileCondition, conditionText } from './condition.ts';
import { bindRow, inputText } from './input.ts';
import type { ParameterQuery, TableQuery } from './parameter-plan.ts';

/** Null if the query does not read the table. The part throws EvaluationError for rows it cannot work with. */
export function compileTableQuery<Row, Json>(
  query: TableQuery,
  compiler: TableCompiler<Row, Json>,
  definition: string,
): RowPart<Row, Json> | null {
  if (!matchesTable(query.pattern, compiler.table)) return null;
  const bind = bindRow(compiler, '');
  const match = query.condition === null ? () => [[]] : compileCondition(query.condition, bind);
  const stored = query.outputs.filter((output) => output.stored);
  const readers = stored.map(({ name, plan }) => ({ head: `${jsonString(name)}:`, read: compilePlan(plan, bind) }));
  const key = lookupKeys(definition, query);
  return (row, sink) => {
    const assignments = match(row);
    if (assignments.length === 0) return;
    const members = readers.flatMap(({ head, read }) => {
      const json = valueJson(read(row));
      return json === undefined ? [] : head + json;
    });
    const parameterSets = `[{${members.join(',')}}]`;
    for (const assignment of assignments) sink.lookup(key(assignment), parameterSets);
  };
}

/** Makes lookup keys of a query: definition, query, then the value of each slot. Both sides of a lookup use it. */
export function lookupKeys(definition: string, { id, slots }: TableQuery): (values: readonly JsonValue[]) => string {
  const head = `[${jsonString(definition)},${jsonString(id)}`;
  return (values) => {
    let key = head;
    for (let slot = 0; slot < slots.length; slot++) key += `,${keyJson(values[slot])}`;
    return `${key}]`;
  };
}

/** Whole reals as the integers they equal. */
function keyJson(value: JsonValue): string {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value).toString() : bucketJson(value);
}

export function parameterQueryText(query: ParameterQuery): string {
  const outputs = query.outputs.map(({ name, plan }) => `${JSON.stringify(name)}=${planText(plan, inputText)}`);
  const head = `${query.kind}(${JSON.stringify([query.id, query.priority])} ${outputs.join(', ')}`;
  if (query.kind === 'table') {
    const slots = query.slots.map(({ plan, expand }) => `${expand ? 'each ' : ''}${planText(plan, inputText)}`);
    const where = query.condition === null ? '' : conditionText(query.condition);
    return `${head} ${tablePatternText(query.pattern)} [${slots.join(', ')}] ${where})`;
  }
  const array = query.kind === 'elements' ? planText(query.array, inputText) : '';
  return `${head} ${array} ${query.filter === null ? '' : planText(query.filter, inputText)})`;
}
