/**
 * Sorts a WHERE into what tests the row, what binds a parameter and what depends on parameters alone. Which forms may
 * mention a parameter is the heart of bucket definitions: each form must lead from a row to the parameter values, or
 * rows could not be put into buckets without knowing the clients.
 */
import { type BuildContext, buildNode } from '../expression/build.ts';
import { type Plan, planText } from '../expression/plan.ts';
import type { BinaryExpression, Expression, InExpression, LogicalExpression, Range } from '../sql/ast.ts';
import { Chain } from './chain.ts';
import { type Clause, planClause, type Slot } from './clause.ts';
import type { Condition } from './condition.ts';
import { dependencyOf, type Input, inputText } from './input.ts';

export class ConditionBuilder {
  readonly #build: BuildContext<Input>;
  readonly #bareParameters: boolean;
  readonly #slots: Slot[] = [];
  readonly #slotKeys = new Map<string, number>();

  /**
   * @param bareParameters whether parameters stand alone (data queries: `bucket.name`), or can be computed with
   *   (parameter queries: request expressions)
   */
  constructor(build: BuildContext<Input>, bareParameters: boolean) {
    this.#build = build;
    this.#bareParameters = bareParameters;
  }

  /** The parameters used, in the order of their first appearance. */
  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** Null if anything is wrong; everything wrong has been reported then. */
  condition(node: Expression): Condition | null {
    const clause = this.#clause(node);
    return clause === null ? null : this.#asCondition(clause);
  }

  /** A plan for an output, or null. Parameters are allowed where they can be computed with. */
  plan(node: Expression): Plan<Input> | null {
    const clause = this.#clause(node);
    if (clause?.kind !== 'match') return this.#computable(clause, node) ?? null;
    this.#build.report('parameter-match-in-expression', node);
    return null;
  }

  #computable(clause: Exclude<Clause, { kind: 'match' }>, node: Range): Plan<Input> | null {
    if (clause === null) return null;
    if (clause.kind !== 'parameter' || !this.#bareParameters) return clause.plan;
    this.#build.report('parameter-misplaced', node);
    return null;
  }

  #clause(node: Expression): Clause {
    if (node.kind === 'logical') return this.#logical(node);
    if (node.kind === 'binary' && node.operator === '=') return this.#equality(node);
    if (node.kind === 'in') return this.#in(node);
    return this.#composite(node);
  }

  /** Any other node: its operands are plans of at most one dependency beside static ones. */
  #composite(node: Expression): Clause {
    let seen: 'row' | 'parameter' | null = null;
    const operand = (child: Expression): Plan<Input> | null => {
      const plan = this.plan(child);
      const dependency = plan === null ? 'static' : dependencyOf(plan);
      if (dependency === 'static') return plan;
      if (seen !== null && seen !== dependency) {
        this.#build.report('mixed-inputs', child);
        return null;
      }
      seen = dependency;
      return plan;
    };
    return planClause(buildNode(node, operand, this.#build));
  }

  #logical(node: LogicalExpression): Clause {
    const chain = new Chain(node, this.#slots, { bareParameters: this.#bareParameters, build: this.#build });
    for (const operand of node.operands) {
      const clause = this.#clause(operand);
      chain.add(clause, operand.end, (part) => this.#asCondition(part));
    }
    return chain.clause();
  }

  #asCondition(clause: NonNullable<Clause>): Condition {
    if (clause.kind === 'match') return clause.condition;
    if (clause.kind !== 'parameter') return { kind: 'filter', plan: clause.plan };
    // A parameter alone is compared with true.
    return { kind: 'equal', slot: this.#slot(this.#truth(clause.plan), false), row: { op: 'literal', value: 1n } };
  }

  /** What a request condition is worth as a key: 1 or 0. A bucket parameter is taken as it is. */
  #truth(plan: Plan<Input>): Plan<Input> {
    return this.#bareParameters ? plan : { op: 'and', operands: [plan] };
  }

  #slot(plan: Plan<Input>, expand: boolean): number {
    const key = `${expand} ${planText(plan, inputText)}`;
    const known = this.#slotKeys.get(key);
    if (known !== undefined) return known;
    const slot = this.#slots.push({ plan, expand }) - 1;
    this.#slotKeys.set(key, slot);
    return slot;
  }

  /** Both operands; null if one is wrong, which includes a match as an operand. */
  #operands(nodes: readonly [Expression, Expression]): [OperandClause, OperandClause] | null {
    const [left, right] = nodes.map((node) => {
      const clause = this.#clause(node);
      if (clause?.kind !== 'match') return clause;
      this.#build.report('parameter-match-in-expression', node);
      return null;
    });
    return left === null || right === null || left === undefined || right === undefined ? null : [left, right];
  }

  #equality(node: BinaryExpression): Clause {
    const operands = this.#operands([node.left, node.right]);
    if (operands === null) return null;
    const [left, right] = operands;
    if (left.kind === 'parameter' && right.kind === 'parameter' && this.#bareParameters) {
      this.#build.report('parameter-misplaced', node);
      return null;
    }
    const binds = this.#bindingSide(left, right);
    if (binds === null) {
      return planClause({ op: 'compare', operator: '=', left: left.plan, right: right.plan });
    }
    const slot = this.#slot(binds.parameter.plan, false);
    return { kind: 'match', condition: { kind: 'equal', slot, row: binds.row.plan } };
  }

  /** Tells the parameter from the row; null if the two do not make a match. */
  #bindingSide(
    left: OperandClause,
    right: OperandClause,
  ): { readonly parameter: OperandClause; readonly row: OperandClause } | null {
    const matches = (other: OperandClause): boolean =>
      other.kind === 'row' || (other.kind === 'static' && this.#bareParameters);
    if (left.kind === 'parameter' && matches(right)) return { parameter: left, row: right };
    return right.kind === 'parameter' && matches(left) ? { parameter: right, row: left } : null;
  }

  #in(node: InExpression): Clause {
    const isScalar = !['subquery', 'array', 'row', 'list'].includes(node.right.kind);
    if (!isScalar) return this.#composite(node);
    const operands = this.#operands([node.operand, node.right]);
    if (operands === null) return null;
    const [left, right] = operands;
    if (right.kind === 'parameter' && this.#bareParameters) {
      this.#build.report('parameter-misplaced', node.right);
      return null;
    }
    const match = this.#inMatch(left, right);
    if (match === null) {
      const plan: Plan<Input> = { op: 'inJson', operand: left.plan, array: right.plan };
      return planClause(node.negated ? { op: 'not', operand: plan } : plan);
    }
    if (!node.negated) return { kind: 'match', condition: match };
    this.#build.report('parameter-match-in-expression', node);
    return null;
  }

  #inMatch(left: OperandClause, right: OperandClause): Condition | null {
    if (left.kind === 'parameter' && (right.kind === 'row' || (right.kind === 'static' && this.#bareParameters))) {
      return { kind: 'contains', slot: this.#slot(left.plan, false), row: right.plan };
    }
    if (left.kind === 'row' && right.kind === 'parameter') {
      return { kind: 'element', slot: this.#slot(right.plan, true), row: left.plan };
    }
    return null;
  }
}

type OperandClause = Extract<Clause, { readonly plan: Plan<Input> }>;
