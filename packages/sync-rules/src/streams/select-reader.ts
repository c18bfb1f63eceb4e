/** Reads one SELECT of a stream: its sources, its names, its conditions. Queries inside it are read into the same sources. */
import { warnUnquoted } from '../bucket-definitions/query-source.ts';
import type { Plan } from '../expression/plan.ts';
import type {
  Expression,
  FromItem,
  FunctionSource,
  Identifier,
  Range,
  SelectStatement,
  SubquerySource,
  TableSource,
} from '../sql/ast.ts';
import { knownTables, tablePatternOf } from '../table-pattern.ts';
import { checkAlphaSelect } from './alpha-select.ts';
import type { Condition } from './condition.ts';
import { type ConditionScope, readCondition, type Subquery } from './condition-reader.ts';
import type { ElementField, SourceId, StreamInput } from './input.ts';
import { mapInputs } from './map-inputs.ts';
import { Names, type QueryColumn } from './names.ts';
import type { ReadContext } from './read-context.ts';
import { type Relation, Scope } from './scope.ts';
import { type Sources, SOURCES_MAX } from './sources.ts';

export interface InnerQuery {
  readonly columns: readonly QueryColumn[];
  /** Wrong, and reported: there are columns that are not known. */
  readonly hasStar: boolean;
  readonly sources: readonly SourceId[];
  readonly conditions: readonly Condition[];
}

export class SelectReader implements ConditionScope {
  readonly scope: Scope;
  readonly names: Names;
  readonly #context: ReadContext;
  readonly #joined: SourceId[] = [];
  readonly #conditions: Condition[] = [];

  /** Reads FROM and WHERE. What is wrong is reported and left out. */
  constructor(select: SelectStatement, context: ReadContext, parent: Scope | null) {
    this.scope = new Scope(parent);
    this.#context = context;
    this.names = new Names(this.scope, context);
    if (context.compile.compatibility.edition < 3) checkAlphaSelect(select, context.reporter, parent !== null);
    for (const { clause, range } of select.extraClauses) context.reporter.add('unsupported-clause', range, clause);
    for (const item of select.from) this.#from(item, select);
    if (select.where !== null) this.#require(select.where);
  }

  /** A query inside another: what it selects, and what it joins. */
  static readInner(select: SelectStatement, context: ReadContext, parent: Scope | null): InnerQuery {
    const reader = new SelectReader(select, context, parent);
    const columns: QueryColumn[] = [];
    let hasStar = false;
    for (const item of select.items) {
      if (item.kind === 'star') {
        context.reporter.add('star-in-subquery', item);
        hasStar = true;
        continue;
      }
      const { expression, alias } = item;
      const bare =
        expression.kind === 'column' ? expression.column.name : context.scalar.sql.slice(item.start, item.end);
      columns.push({ name: alias?.name ?? bare, plan: reader.plan(expression) });
    }
    return { columns, hasStar, sources: reader.joined, conditions: reader.conditions };
  }

  get sources(): Sources {
    return this.#context.sources;
  }

  /** Sources that every row of the query is joined with. */
  get joined(): readonly SourceId[] {
    return this.#joined;
  }

  /** All must hold. */
  get conditions(): readonly Condition[] {
    return this.#conditions;
  }

  get negatesUnequal(): boolean {
    return this.#context.compile.compatibility.edition === 3;
  }

  plan(node: Expression): Plan<StreamInput> | null {
    return this.names.plan(node);
  }

  wrongList(range: Range): null {
    this.#context.reporter.add('in-list', range);
    return null;
  }

  toDocument(range: Range): Range {
    return this.#context.scalar.toDocument(range);
  }

  subquery(select: SelectStatement): Subquery | null {
    return this.#oneColumn(SelectReader.readInner(select, this.#context, this.scope), select);
  }

  commonTable(node: Expression): Subquery | null | undefined {
    if (node.kind !== 'column' || node.table !== null) return undefined;
    const inner = this.#commonTable(node.column);
    if (inner === undefined) return undefined;
    return inner === null ? null : this.#oneColumn(inner, node);
  }

  elements(argument: Plan<StreamInput>, at: Range): { source: SourceId; value: Plan<StreamInput> } | null {
    const source = this.#hasRoom(at) ? this.#addEach(argument) : null;
    if (source === null) return null;
    return { source, value: this.names.element(source, 'value', at) };
  }

  #require(node: Expression): void {
    const condition = readCondition(node, this);
    if (condition !== null) this.#conditions.push(condition);
  }

  // --- FROM -------------------------------------------------------------------------------------------------------

  #from({ source, join }: FromItem, select: SelectStatement): void {
    const { reporter } = this.#context;
    if (join !== null && (join.using.length > 0 || join.natural || !['INNER', 'CROSS'].includes(join.type))) {
      reporter.add('unsupported-join', join.onRange ?? select, join.type === 'INNER' ? 'USING' : join.type);
      return;
    }
    const name = source.alias?.name ?? (source.kind === 'table' ? source.name.name : 'json_each');
    const relation = (this.#hasRoom(source) ? this.#relation(source) : null) ?? { kind: 'broken' };
    const range = source.kind === 'table' ? source.nameRange : source;
    if (!this.scope.add(name, relation)) reporter.add('duplicate-source', range, name);
    if (join?.on) this.#require(join.on);
  }

  /** What is read bounds what must be planned; a short text could name a long one again and again. */
  #hasRoom(at: Range): boolean {
    if (this.sources.claimRoom()) return true;
    this.#context.reporter.add('too-many-sources', at, `the most is ${SOURCES_MAX}`);
    return false;
  }

  #relation(source: FromItem['source']): Relation | null {
    if (source.kind === 'table') return this.#table(source);
    return source.kind === 'function' ? this.#each(source) : this.#fromQuery(source);
  }

  #table(source: TableSource): Relation | null {
    const { compile, reporter } = this.#context;
    if (source.schema === null) {
      const inner = this.#commonTable(source.name);
      if (inner !== undefined) return inner === null ? null : this.#joinQuery(inner, source);
    }
    const isBare = source.schema === null && source.alias === null;
    if (isBare && compile.compatibility.edition < 3) warnUnquoted(source.name, reporter);
    const pattern = tablePatternOf(source, compile.defaultSchema);
    if (pattern === null || source.columnAliases.length > 0) {
      reporter.add(pattern === null ? 'wrong-schema-name' : 'unsupported-source', source.schema ?? source);
      return null;
    }
    const tables = compile.schema === null ? [] : knownTables(pattern, compile.schema);
    if (compile.schema !== null && tables.length === 0)
      reporter.add('unknown-table', source.nameRange, source.name.name);
    const columns = tables.flatMap((table) => table.columns.map((column) => column.name));
    const id = this.sources.add({ kind: 'table', pattern, outputName: source.alias?.name ?? null });
    this.#joined.push(id);
    const knownColumns = tables.length === 0 ? null : new Set(columns);
    return { kind: 'table', source: id, knownColumns };
  }

  #each(source: FunctionSource): Relation | null {
    const { call, columnAliases } = source;
    const [argument, ...others] = call.args;
    const isEach = call.schema === null && call.name.name === 'json_each';
    if (!isEach || argument === undefined || others.length > 0 || columnAliases.length > 2) {
      this.#context.reporter.add(isEach ? 'wrong-argument-count' : 'unsupported-source', source, call.name.name);
      return null;
    }
    const plan = this.plan(argument);
    const id = plan === null ? null : this.#addEach(plan);
    if (id === null) return null;
    this.#joined.push(id);
    const fields = (['key', 'value'] as const).map((field, index): [string, ElementField] => [
      columnAliases[index]?.name ?? field,
      field,
    ]);
    return { kind: 'each', source: id, fields: new Map(fields) };
  }

  /** Null, and reported, if the argument depends on more than one thing, or on another array. */
  #addEach(argument: Plan<StreamInput>): SourceId | null {
    const { diagnostics } = this.#context.compile;
    const nested = inputsWhere(argument, (input) => input.kind === 'element');
    const conflict = nested ?? this.sources.conflictIn(argument);
    if (conflict === null) return this.sources.add({ kind: 'each', argument });
    diagnostics.add('json-each-mixed', conflict.at);
    return null;
  }

  #fromQuery(source: SubquerySource): Relation | null {
    const inner = SelectReader.readInner(source.select, this.#context, null);
    if (source.alias === null) {
      this.#context.reporter.add('alias-needed', source);
      return null;
    }
    return this.#joinQuery(inner, source);
  }

  #joinQuery(inner: InnerQuery, { columnAliases }: { readonly columnAliases: readonly Identifier[] }): Relation {
    this.#joined.push(...inner.sources);
    this.#conditions.push(...inner.conditions);
    const columns = inner.columns.map(({ name, plan }, index): [string, Plan<StreamInput> | null] => [
      columnAliases[index]?.name ?? name,
      plan,
    ]);
    return { kind: 'query', columns: new Map(columns) };
  }

  // --- queries inside ---------------------------------------------------------------------------------------------

  /** Undefined if the name means no common table expression; null if that is wrong, and reported. */
  #commonTable(name: Identifier): InnerQuery | null | undefined {
    const found = this.#context.commonTables?.use(name.name);
    if (found === undefined) return undefined;
    if (found === null || !this.#hasRoom(name)) return null;
    const { scalar, reporter, select } = found;
    return SelectReader.readInner(select, { ...this.#context, scalar, reporter, commonTables: null }, null);
  }

  #oneColumn({ columns, hasStar, sources, conditions }: InnerQuery, at: Range): Subquery | null {
    if (hasStar) return null;
    const [column, ...others] = columns;
    if (column === undefined || others.length > 0) {
      this.#context.reporter.add('one-column-needed', at);
      return null;
    }
    return column.plan === null ? null : { column: column.plan, sources, conditions };
  }
}

function inputsWhere(plan: Plan<StreamInput>, test: (input: StreamInput) => boolean): StreamInput | null {
  let found: StreamInput | null = null;
  mapInputs(plan, (input) => {
    if (found === null && test(input)) found = input;
    return { op: 'input', input };
  });
  return found;
}
