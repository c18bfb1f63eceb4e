/** Columns and request functions of bucket definitions, for the expression builder. */
import { jsonMode } from '../compatibility.ts';
import type { CompileContext } from '../definition.ts';
import { didYouMean } from '../did-you-mean.ts';
import { type BuildContext, buildPlan } from '../expression/build.ts';
import type { Plan } from '../expression/plan.ts';
import { jsonEachColumns } from '../functions/json-each.ts';
import type { Reporter } from '../reporter.ts';
import type { ColumnReference, FunctionCall } from '../sql/ast.ts';
import type { Input, RequestInput } from './input.ts';
import { type QueryTable, warnUnquoted } from './query-source.ts';

/** What the expressions of one query may refer to. */
export type Scope =
  | { readonly kind: 'data'; readonly table: QueryTable }
  | { readonly kind: 'table'; readonly table: QueryTable }
  | { readonly kind: 'static' }
  /** A query over json_each, under the name its columns are qualified with. */
  | { readonly kind: 'elements'; readonly name: string };

export interface QueryContext {
  readonly context: CompileContext;
  readonly reporter: Reporter;
  readonly scope: Scope;
}

const SUFFIX_COLUMN = '_table_suffix';
const REQUEST_FUNCTIONS = ['user_id', 'jwt', 'parameters', 'parameter'] as const;

export function buildContext(query: QueryContext): BuildContext<Input> {
  const { compatibility } = query.context;
  const build: BuildContext<Input> = {
    edition: compatibility.edition,
    mode: jsonMode(compatibility),
    allowsInJson: true,
    column: (node) => columnPlan(node, query),
    call: (node) => requestCall(node, query, build),
    report: (code, range, subject, details) => query.reporter.add(code, range, subject, details),
  };
  return build;
}

function columnPlan(node: ColumnReference, query: QueryContext): Plan<Input> | null {
  const { reporter, scope } = query;
  if (node.schema !== null) {
    reporter.add('unknown-table-name', node, `${node.schema.name}.${node.table?.name ?? ''}`);
    return null;
  }
  warnUnquoted(node.column, reporter);
  const qualifier = node.table?.name;
  const { name } = node.column;
  if (qualifier === 'bucket' && scope.kind === 'data') return { op: 'input', input: { kind: 'bucketParameter', name } };
  const pseudo = pseudoTable(qualifier, name);
  if (pseudo !== null) {
    if (scope.kind !== 'data') return { op: 'input', input: pseudo };
    reporter.add('request-in-data-query', node);
    return null;
  }
  if (scope.kind === 'static') {
    reporter.add(qualifier === undefined ? 'unknown-name' : 'unknown-table-name', node, qualifier ?? name);
    return null;
  }
  const tableName = scope.kind === 'elements' ? scope.name : scope.table.name;
  if (qualifier !== undefined && qualifier !== tableName) {
    reporter.add('unknown-table-name', node, qualifier, { hint: `The table here is called ${tableName}.` });
    return null;
  }
  return scope.kind === 'elements' ? elementPlan(node, query) : tableColumn(node, scope, query);
}

function pseudoTable(qualifier: string | undefined, name: string): RequestInput | null {
  if (qualifier === 'token_parameters') return { kind: 'tokenParameter', name };
  return qualifier === 'user_parameters' ? { kind: 'connectionParameter', name } : null;
}

function elementPlan(node: ColumnReference, { reporter }: QueryContext): Plan<Input> | null {
  const { name } = node.column;
  if (name === 'key' || name === 'value') return { op: 'input', input: { kind: 'element', column: name } };
  reporter.add('unknown-name', node, name, {
    hint: `json_each has the columns ${[...jsonEachColumns].join(' and ')}.`,
  });
  return null;
}

function tableColumn(
  node: ColumnReference,
  scope: Extract<Scope, { table: QueryTable }>,
  { reporter }: QueryContext,
): Plan<Input> {
  const { name } = node.column;
  const { pattern, knownColumns } = scope.table;
  if (name === SUFFIX_COLUMN && pattern.wildcard && scope.kind === 'data')
    return { op: 'input', input: { kind: 'suffix' } };
  if (knownColumns !== null && name !== SUFFIX_COLUMN && !knownColumns.has(name)) {
    const hint = didYouMean(name, knownColumns);
    reporter.add('unknown-column', node, name, hint === undefined ? {} : { hint });
  }
  return { op: 'input', input: { kind: 'column', name } };
}

function requestCall(
  node: FunctionCall,
  { reporter, scope }: QueryContext,
  build: BuildContext<Input>,
): Plan<Input> | null | undefined {
  if (node.schema?.name !== 'request') return undefined;
  const name = REQUEST_FUNCTIONS.find((known) => known === node.name.name);
  if (name === undefined) {
    const hint = didYouMean(node.name.name, REQUEST_FUNCTIONS);
    reporter.add('unknown-function', node, `request.${node.name.name}`, hint === undefined ? {} : { hint });
    return null;
  }
  if (scope.kind === 'data') {
    reporter.add('request-in-data-query', node);
    return null;
  }
  const wanted = name === 'parameter' ? 1 : 0;
  const [argument] = node.args;
  if (node.args.length !== wanted || node.modifier !== null) {
    reporter.add('wrong-argument-count', node, `request.${name} takes ${wanted}`);
    return null;
  }
  if (argument === undefined) return { op: 'input', input: { kind: inputKinds[name] } };
  const path = buildPlan(argument, build);
  // Here the fixed path rule holds in all editions, whatever the option says.
  const left: Plan<Input> = { op: 'input', input: { kind: 'connection' } };
  return path === null ? null : { op: 'json', operator: '->>', mode: 'fixed', left, right: path };
}

const inputKinds = { user_id: 'userId', jwt: 'token', parameters: 'connection', parameter: 'connection' } as const;
