import type { Plan } from '../expression/plan.ts';
import type { Condition } from './condition.ts';
import { type Dependency, dependencyOf, type Input } from './input.ts';

/** A part of a condition: a plan of one dependency, or a condition that binds parameters. Null: wrong and reported. */
export type Clause =
  | { readonly kind: Dependency; readonly plan: Plan<Input> }
  | { readonly kind: 'match'; readonly condition: Condition }
  | null;

export function planClause(plan: Plan<Input> | null): Clause {
  return plan === null ? null : { kind: dependencyOf(plan), plan };
}

/** A parameter of the condition: `bucket.name`, or a request expression; `expand`: looked up element by element. */
export interface Slot {
  readonly plan: Plan<Input>;
  readonly expand: boolean;
}
