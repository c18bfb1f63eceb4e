/**
 * The operands of one AND or OR, joined from left to right: plans of one dependency stay one plan; as soon as a
 * parameter is bound, the chain is a condition. Linear in the number of operands.
 */
import type { BuildContext } from '../expression/build.ts';
import type { Plan } from '../expression/plan.ts';
import type { LogicalExpression } from '../sql/ast.ts';
import { type Clause, planClause, type Slot } from './clause.ts';
import { type Condition, isUnbounded, slotsOf } from './condition.ts';
import type { Dependency, Input } from './input.ts';

export interface ChainOptions {
  /** Parameters stand alone: they never join a plan. */
  readonly bareParameters: boolean;
  readonly build: BuildContext<Input>;
}

type ToCondition = (clause: NonNullable<Clause>) => Condition;

export class Chain {
  readonly #node: LogicalExpression;
  readonly #slots: readonly Slot[];
  readonly #options: ChainOptions;
  readonly #plans: Plan<Input>[] = [];
  #dependency: Dependency = 'static';
  /** Null as long as all operands are plans that fit together. */
  #conditions: Condition[] | null = null;
  readonly #boundSlots = new Set<number>();
  readonly #expandingSlots = new Set<number>();
  #unbounded = false;
  #valid = true;

  constructor(node: LogicalExpression, slots: readonly Slot[], options: ChainOptions) {
    this.#node = node;
    this.#slots = slots;
    this.#options = options;
  }

  /** @param end of the operand, where the part of the chain ends that a problem with it is about */
  add(clause: Clause, end: number, toCondition: ToCondition): void {
    if (clause === null) this.#valid = false;
    if (clause === null || !this.#valid) return;
    if (this.#conditions === null && clause.kind !== 'match' && this.#fits(clause.kind)) {
      this.#plans.push(clause.plan);
      if (clause.kind !== 'static') this.#dependency = clause.kind;
      return;
    }
    const first = this.#plansAsClause();
    if (this.#conditions === null && first !== null) this.#join(toCondition(first), end);
    this.#join(toCondition(clause), end);
  }

  clause(): Clause {
    if (!this.#valid) return null;
    if (this.#conditions === null) return this.#plansAsClause();
    const [only] = this.#conditions;
    const kind = this.#node.operator === 'AND' ? 'all' : 'any';
    const single = only !== undefined && this.#conditions.length === 1;
    return { kind: 'match', condition: single ? only : { kind, conditions: this.#conditions } };
  }

  #fits(kind: Dependency): boolean {
    if (this.#options.bareParameters && (kind === 'parameter' || this.#dependency === 'parameter')) {
      return this.#plans.length === 0;
    }
    return kind === 'static' || this.#dependency === 'static' || kind === this.#dependency;
  }

  #plansAsClause(): Clause {
    const [only] = this.#plans;
    if (only !== undefined && this.#plans.length === 1) return planClause(only);
    return only === undefined
      ? null
      : planClause({ op: this.#node.operator === 'AND' ? 'and' : 'or', operands: this.#plans });
  }

  #join(condition: Condition, end: number): void {
    const slots = slotsOf(condition);
    for (const slot of slots) if (this.#slots[slot]?.expand === true) this.#expandingSlots.add(slot);
    const problem = this.#conditions === null ? null : this.#problem(condition, slots);
    if (problem !== null) {
      this.#options.build.report(problem, { start: this.#node.start, end });
      this.#valid = false;
      return;
    }
    this.#conditions ??= [];
    const flat = this.#node.operator === 'AND' && condition.kind === 'all' ? condition.conditions : [condition];
    for (const part of flat) this.#conditions.push(part);
    for (const slot of slots) this.#boundSlots.add(slot);
    this.#unbounded ||= isUnbounded(condition);
  }

  #problem(condition: Condition, slots: ReadonlySet<number>): 'too-many-arrays' | 'or-different-parameters' | null {
    if (this.#node.operator === 'AND') {
      const arrays = this.#unbounded && isUnbounded(condition);
      return arrays || this.#expandingSlots.size > 1 ? 'too-many-arrays' : null;
    }
    const same = slots.size === this.#boundSlots.size && [...slots].every((slot) => this.#boundSlots.has(slot));
    return same ? null : 'or-different-parameters';
  }
}
