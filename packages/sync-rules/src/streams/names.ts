/** What names mean inside one SELECT: columns of its relations, and the functions that read the request. */
import { jsonMode } from '../compatibility.ts';
import { didYouMean } from '../did-you-mean.ts';
import { warnUnquoted } from '../bucket-definitions/query-source.ts';
import { type BuildContext, buildPlan } from '../expression/build.ts';
import { operandsOf, type Plan } from '../expression/plan.ts';
import type { ColumnReference, Expression, FunctionCall, Range } from '../sql/ast.ts';
import type { ElementField, SourceId, StreamInput } from './input.ts';
import { mapInputs } from './map-inputs.ts';
import type { ReadContext } from './read-context.ts';
import { pathMode, requestCall, requestPlan } from './request-functions.ts';
import type { Relation, Scope } from './scope.ts';

/** A column of a query in FROM, behind IN or in `with`. Its plan is null if it is wrong, which has been reported. */
export interface QueryColumn {
  readonly name: string;
  readonly plan: Plan<StreamInput> | null;
}

export class Names {
  readonly #scope: Scope;
  readonly #context: ReadContext;
  readonly #build: BuildContext<StreamInput>;

  constructor(scope: Scope, context: ReadContext) {
    this.#scope = scope;
    this.#context = context;
    this.#build = this.#buildContext();
  }

  /** Null if it is wrong, which has been reported then. */
  plan(node: Expression): Plan<StreamInput> | null {
    return buildPlan(node, this.#build);
  }

  /** Columns of a relation, for a star. Null: a table, whose columns are not known here. */
  columnsOf(relation: Relation, at: Range): readonly QueryColumn[] | null {
    if (relation.kind === 'table') return null;
    if (relation.kind === 'broken') return [];
    if (relation.kind === 'query') {
      return [...relation.columns].map(([name, plan]) => ({ name, plan: this.#located(plan, at) }));
    }
    return [...relation.fields].map(([name, field]) => ({ name, plan: this.element(relation.source, field, at) }));
  }

  element(source: SourceId, field: ElementField, node: Range): Plan<StreamInput> {
    return { op: 'input', input: { kind: 'element', source, field, at: this.#toDocument(node) } };
  }

  #toDocument(range: Range): Range {
    return this.#context.scalar.toDocument(range);
  }

  #buildContext(): BuildContext<StreamInput> {
    const { compile, reporter } = this.#context;
    const { edition } = compile.compatibility;
    return {
      edition,
      mode: jsonMode(compile.compatibility),
      allowsInJson: edition < 3,
      column: (node) => this.#column(node),
      call: (node) => this.#call(node),
      report: (code, range, subject, details) => reporter.add(code, range, subject, details),
    };
  }

  #call(node: FunctionCall): Plan<StreamInput> | null | undefined {
    const call = requestCall(node);
    if (call === undefined) return undefined;
    if (node.args.length !== call.argumentCount || node.modifier !== null) {
      this.#context.reporter.add('wrong-argument-count', node, `${call.argumentCount} wanted`);
      return null;
    }
    const left = requestPlan(call, this.#toDocument(node));
    const [argument] = node.args;
    if (argument === undefined) return left;
    const right = this.plan(argument);
    const mode = pathMode(this.#build.edition, this.#build.mode);
    return right === null ? null : { op: 'json', operator: '->>', mode, left, right };
  }

  #column(node: ColumnReference): Plan<StreamInput> | null {
    const relation = this.#relationOf(node);
    if (relation === null || relation.kind === 'broken') return null;
    if (this.#build.edition < 3) warnUnquoted(node.column, this.#context.reporter);
    const { name } = node.column;
    if (relation.kind === 'table') return this.#tableColumn(relation, node);
    const known = relation.kind === 'each' ? [...relation.fields.keys()] : [...relation.columns.keys()];
    if (!known.includes(name)) {
      const hint = didYouMean(name, known);
      this.#context.reporter.add('no-such-column', node, name, hint === undefined ? {} : { hint });
      return null;
    }
    if (relation.kind === 'query') return this.#located(relation.columns.get(name) ?? null, node);
    return this.element(relation.source, relation.fields.get(name) ?? 'value', node);
  }

  #tableColumn(relation: Extract<Relation, { kind: 'table' }>, node: ColumnReference): Plan<StreamInput> {
    const { name } = node.column;
    if (relation.knownColumns?.has(name) === false) {
      const hint = didYouMean(name, relation.knownColumns);
      this.#context.reporter.add('unknown-column', node, name, hint === undefined ? {} : { hint });
    }
    const input: StreamInput = { kind: 'column', source: relation.source, name, at: this.#toDocument(node) };
    return { op: 'input', input };
  }

  /** Inputs of an inner query's column stand where the column is used. */
  #located(plan: Plan<StreamInput> | null, node: Range): Plan<StreamInput> | null {
    if (plan === null) return null;
    const at = this.#toDocument(node);
    if (!isSmall(plan)) {
      this.#context.compile.diagnostics.add('expression-too-large', at);
      return null;
    }
    return mapInputs(plan, (input) => ({ op: 'input', input: { ...input, at } }));
  }

  #relationOf(node: ColumnReference): Relation | null {
    const { reporter } = this.#context;
    if (node.table === null) {
      const [only, ...others] = this.#scope.relations;
      if (only !== undefined && others.length === 0) return only;
      reporter.add('ambiguous-column', node, node.column.name);
      return null;
    }
    const relation = node.schema === null ? this.#scope.find(node.table.name) : undefined;
    if (relation !== undefined) return relation;
    const hint = didYouMean(node.table.name, this.#scope.names);
    reporter.add('unknown-table-name', node, node.table.name, hint === undefined ? {} : { hint });
    return null;
  }
}

/** A column of a query is its expression: used twice in each of many levels, it would grow without bound. */
const NODES_MAX = 10_000;

function isSmall(plan: Plan<StreamInput>): boolean {
  const open = [plan];
  for (let count = 0; count < NODES_MAX; count++) {
    const next = open.pop();
    if (next === undefined) return true;
    open.push(...operandsOf(next));
  }
  return false;
}
