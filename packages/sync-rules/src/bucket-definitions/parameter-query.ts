/** One entry of `parameters`: which buckets of the definition a client gets. */
import type { CompileContext } from '../definition.ts';
import type { SqlScalar } from '../document.ts';
import type { Plan } from '../expression/plan.ts';
import { Reporter } from '../reporter.ts';
import type { FunctionSource, SelectItem, SelectStatement } from '../sql/ast.ts';
import type { Condition } from './condition.ts';
import type { Slot } from './clause.ts';
import { ConditionBuilder } from './condition-builder.ts';
import { warnIfDangerous } from './danger.ts';
import { buildContext, type QueryContext, type Scope } from './expressions.ts';
import { dependencyOf, type Input } from './input.ts';
import { outputName } from './outputs.ts';
import type { ParameterOutput, ParameterQuery, QueryBase } from './parameter-plan.ts';
import { queryTable, selectOf, warnUnquoted } from './query-source.ts';

export interface ReadParameterQuery {
  /** Names of the outputs, `_priority` not among them. Known even where the query has errors. */
  readonly names: readonly string[];
  readonly query: ParameterQuery | null;
}

export interface ParameterQueryOptions {
  readonly context: CompileContext;
  readonly id: string;
  /** Whether the definition has a priority of its own. */
  readonly hasPriority: boolean;
  readonly acceptDangerous: boolean;
}

const PRIORITY = '_priority';

/** Null if the query cannot be understood at all. What is wrong has been reported. */
export function readParameterQuery(scalar: SqlScalar, options: ParameterQueryOptions): ReadParameterQuery | null {
  const { context } = options;
  const reporter = new Reporter(scalar, context.diagnostics);
  const select = selectOf(reporter);
  if (select === null) return null;
  const star = select.items.find((item) => item.kind === 'star');
  if (star !== undefined) {
    reporter.add('star-in-parameters', star);
    return null;
  }
  const scope = scopeOf(select, context, reporter);
  if (scope === null) return null;
  return new QueryReader(select, { context, reporter, scope }, options).read();
}

function scopeOf(select: SelectStatement, context: CompileContext, reporter: Reporter): Scope | null {
  const [first, ...others] = select.from;
  if (first === undefined) return { kind: 'static' };
  if (others.length === 0 && first.source.kind === 'function') return elementsScope(first.source, reporter);
  const table = queryTable(select, context, reporter);
  if (table === null) return null;
  if (table.source.alias !== null) reporter.add('table-alias', table.source, table.source.alias.name);
  return { kind: 'table', table };
}

function elementsScope(source: FunctionSource, reporter: Reporter): Scope | null {
  const { call, alias } = source;
  if (call.schema === null && call.name.name === 'json_each') {
    return { kind: 'elements', name: alias?.name ?? 'json_each' };
  }
  reporter.add('unsupported-source', call, call.name.name, { hint: 'Select from a table or from json_each.' });
  return null;
}

class QueryReader {
  readonly #select: SelectStatement;
  readonly #query: QueryContext;
  readonly #options: ParameterQueryOptions;
  readonly #builder: ConditionBuilder;
  #priority: number | null = null;
  #valid = true;

  constructor(select: SelectStatement, query: QueryContext, options: ParameterQueryOptions) {
    this.#select = select;
    this.#query = query;
    this.#options = options;
    this.#builder = new ConditionBuilder(buildContext(query), false);
  }

  read(): ReadParameterQuery {
    const array = this.#array();
    const where = this.#select.where;
    const condition = where === null ? null : this.#builder.condition(where);
    this.#valid &&= where === null || condition !== null;
    // The slots of WHERE are the key; outputs make none.
    const slots = [...this.#builder.slots];
    const outputs = this.#select.items.flatMap((item) => this.#output(item) ?? []);
    const names = this.#names();
    const base = { id: this.#options.id, outputs, priority: this.#priority };
    if (!this.#valid) return { names, query: null };
    const query = this.#assemble(base, { array, condition, slots });
    if (query !== null && !this.#options.acceptDangerous) warnIfDangerous(query, this.#query.reporter);
    return { names, query };
  }

  #assemble(
    base: QueryBase,
    found: { array: Plan<Input> | null; condition: Condition | null; slots: readonly Slot[] },
  ): ParameterQuery | null {
    const { scope } = this.#query;
    const { array, condition, slots } = found;
    if (scope.kind === 'table') return { ...base, kind: 'table', pattern: scope.table.pattern, condition, slots };
    const filter = condition === null ? null : requestFilter(condition, slots);
    if (scope.kind === 'elements') return array === null ? null : { ...base, kind: 'elements', array, filter };
    return { ...base, kind: 'static', filter };
  }

  /** The argument of json_each. */
  #array(): Plan<Input> | null {
    const [first] = this.#select.from;
    if (this.#query.scope.kind !== 'elements' || first?.source.kind !== 'function') return null;
    const { call } = first.source;
    const [argument, ...more] = call.args;
    const scope: Scope = { kind: 'static' };
    const outer = new ConditionBuilder(buildContext({ ...this.#query, scope }), false);
    const plan = argument === undefined || more.length > 0 ? null : outer.plan(argument);
    if (argument === undefined || more.length > 0) this.#query.reporter.add('json-each-arguments', call);
    this.#valid &&= plan !== null;
    return plan;
  }

  #names(): string[] {
    return this.#select.items.flatMap((item) => {
      const name = item.kind === 'expression' ? outputName(item) : null;
      return name === null || name === PRIORITY ? [] : [name];
    });
  }

  #output(item: SelectItem): ParameterOutput | null {
    if (item.kind === 'star') return null;
    const { reporter, scope } = this.#query;
    const name = outputName(item);
    if (item.alias !== null) warnUnquoted(item.alias, reporter);
    if (name === PRIORITY) {
      this.#readPriority(item);
      return null;
    }
    const plan = this.#builder.plan(item.expression);
    const bare = plan?.op === 'input' && plan.input.kind === 'column';
    const onRow = scope.kind === 'table' && plan !== null && dependencyOf(plan) === 'row';
    if (name === null) reporter.add('alias-needed', item);
    else if (onRow && !bare) reporter.add('expression-on-row', item);
    else if (plan !== null) return { name, plan, stored: onRow };
    this.#valid = false;
    return null;
  }

  #readPriority({ expression }: Extract<SelectItem, { kind: 'expression' }>): void {
    const { reporter } = this.#query;
    const value = expression.kind === 'literal' && typeof expression.value === 'bigint' ? Number(expression.value) : -1;
    if (this.#options.hasPriority) reporter.addWhole('priority-twice');
    else if (value < 0 || value > 3) reporter.add('wrong-priority', expression);
    else this.#priority = value;
  }
}

/**
 * A condition of a query without a table tests request values alone: as a plan again. Parts of one dependency have been
 * joined to one plan already, so it is a filter, or one parameter compared with true.
 */
function requestFilter(condition: Condition, slots: readonly Slot[]): Plan<Input> | null {
  if (condition.kind === 'filter') return condition.plan;
  return condition.kind === 'equal' ? (slots[condition.slot]?.plan ?? null) : null;
}
