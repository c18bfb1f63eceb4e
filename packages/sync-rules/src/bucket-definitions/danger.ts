/** Warns where clients could give themselves any bucket: their own parameters decide, and no token value does. */
import { inputsOf, type Plan } from '../expression/plan.ts';
import type { Reporter } from '../reporter.ts';
import type { Condition } from './condition.ts';
import type { Slot } from './clause.ts';
import { type Input, isAuthenticated, isChosenByClient } from './input.ts';
import type { ParameterQuery } from './parameter-plan.ts';

export function warnIfDangerous(query: ParameterQuery, reporter: Reporter): void {
  const all = [...query.outputs.map(({ plan }) => plan), ...otherPlans(query)];
  const inputs = all.flatMap((plan) => [...inputsOf(plan)]);
  if (inputs.some(isChosenByClient) && !isProtected(query)) reporter.addWhole('dangerous-parameters');
}

function otherPlans(query: ParameterQuery): Plan<Input>[] {
  if (query.kind === 'table') return query.slots.map(({ plan }) => plan);
  const plans = query.kind === 'elements' ? [query.array] : [];
  return query.filter === null ? plans : [...plans, query.filter];
}

function isProtected(query: ParameterQuery): boolean {
  if (query.outputs.some(({ plan }) => usesToken(plan))) return true;
  if (query.kind === 'elements') return usesToken(query.array);
  return query.kind === 'table' && query.condition !== null && conditionUsesToken(query.condition, query.slots);
}

function usesToken(plan: Plan<Input>): boolean {
  return [...inputsOf(plan)].some(isAuthenticated);
}

/** Of OR both branches must be protected, of AND one. */
function conditionUsesToken(condition: Condition, slots: readonly Slot[]): boolean {
  if (condition.kind === 'any') return condition.conditions.every((part) => conditionUsesToken(part, slots));
  if (condition.kind === 'all') return condition.conditions.some((part) => conditionUsesToken(part, slots));
  if (condition.kind === 'filter') return false;
  const plan = slots[condition.slot]?.plan;
  return plan !== undefined && planUsesToken(plan);
}

function planUsesToken(plan: Plan<Input>): boolean {
  if (plan.op === 'or') return plan.operands.every(planUsesToken);
  return plan.op === 'and' ? plan.operands.some(planUsesToken) : usesToken(plan);
}
