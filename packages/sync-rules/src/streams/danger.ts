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
  else {
    const found: Found = { plan, inputs, stages: new Set() };
    for (const parameter of plan.parameters) addReferences(parameter, found);
  }
  if ([...inputs].some(isAuthenticated)) return null;
  const places = [...inputs].map(({ at }) => at);
  places.sort((left, right) => left.start - right.start);
  return places[0] ?? null;
}

interface Found {
  readonly plan: RequestPlan;
  readonly inputs: Set<RequestInput>;
  /** Those looked at: several values may come from one. */
  readonly stages: Set<number>;
}

/** Values found by a stage are as safe as what they are found by. */
function addReferences(references: KeyReferences, found: Found): void {
  for (const reference of references) {
    if (reference.kind === 'request') {
      addInputs(reference.plan, found.inputs);
      continue;
    }
    if (found.stages.has(reference.stage)) continue;
    found.stages.add(reference.stage);
    const stage = found.plan.stages[reference.stage];
    if (stage?.kind === 'each') addInputs(stage.argument, found.inputs);
    else for (const key of stage?.keys ?? []) addReferences(key, found);
  }
}

function addInputs(plan: Plan<RequestInput>, inputs: Set<RequestInput>): void {
  for (const input of inputsOf(plan)) inputs.add(input);
}
