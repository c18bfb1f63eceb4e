/** Whether what a client gets depends on values that it chooses freely, and on nothing that its token proves. */
import { inputsOf, type Plan } from '../expression/plan.ts';
import type { Range } from '../sql/ast.ts';
import type { RequestInput } from './input.ts';
import type { KeyReferences, RequestPlan } from './plan.ts';
import { isAuthenticated } from './request-functions.ts';

/** Where the first unproven value is used; null if the plan is safe. */
export function dangerIn(plan: RequestPlan): Range | null {
  const inputs = new Set<RequestInput>();
  if (plan.parameters.length === 0) for (const filter of plan.filters) addInputs(filter, inputs);
  else for (const parameter of plan.parameters) addReferences(parameter, plan, inputs);
  if ([...inputs].some(isAuthenticated)) return null;
  const places = [...inputs].map(({ at }) => at);
  places.sort((left, right) => left.start - right.start);
  return places[0] ?? null;
}

/** Values found by a stage are as safe as what they are found by. */
function addReferences(references: KeyReferences, plan: RequestPlan, inputs: Set<RequestInput>): void {
  for (const reference of references) {
    if (reference.kind === 'request') {
      addInputs(reference.plan, inputs);
      continue;
    }
    const stage = plan.stages[reference.stage];
    if (stage?.kind === 'each') addInputs(stage.argument, inputs);
    else for (const key of stage?.keys ?? []) addReferences(key, plan, inputs);
  }
}

function addInputs(plan: Plan<RequestInput>, inputs: Set<RequestInput>): void {
  for (const input of inputsOf(plan)) inputs.add(input);
}
