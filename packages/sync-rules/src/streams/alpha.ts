/** What streams of edition 2 may not have, beside what its expressions may not: they are a smaller language. */
import type { CompileContext } from '../definition.ts';
import type { SqlScalar, StreamSource } from '../document.ts';
import { inputsOf } from '../expression/plan.ts';
import type { KeyReferences, RequestPlan } from './plan.ts';
import type { StreamQuery } from './query.ts';

/** False if the query is wrong, which has been reported. */
export function checkAlphaQuery(query: StreamQuery, { diagnostics }: CompileContext): boolean {
  if (query.items.some((item) => item.kind === 'star' || item.name === 'id')) return true;
  diagnostics.add('missing-id', query.firstOutputAt);
  return false;
}

/** False if a query inside is found by nothing of the request, which has been reported. */
export function checkAlphaRequest(plan: RequestPlan, scalar: SqlScalar, { diagnostics }: CompileContext): boolean {
  const isBound = (references: KeyReferences): boolean => references.some(({ kind }) => kind === 'request');
  const unbound = plan.stages.some((stage) => stage.kind === 'index' && !stage.keys.some(isBound));
  if (unbound) diagnostics.add('subquery-without-request', scalar.range);
  return !unbound;
}

export function warnAlphaDefault(source: StreamSource, plans: readonly RequestPlan[], context: CompileContext): void {
  if (source.autoSubscribe && plans.some(usesSubscription)) {
    const [first] = source.queries;
    context.diagnostics.add('default-uses-subscription', first?.range ?? source.keyRange, source.name);
  }
}

function usesSubscription({ filters, stages, parameters }: RequestPlan): boolean {
  const keys = stages.flatMap((stage) => (stage.kind === 'index' ? stage.keys : []));
  const references = [...parameters, ...keys].flat();
  const plans = [
    ...filters,
    ...stages.flatMap((stage) => (stage.kind === 'each' ? [stage.argument] : [])),
    ...references.flatMap((reference) => (reference.kind === 'request' ? [reference.plan] : [])),
  ];
  return plans.some((plan) => [...inputsOf(plan)].some(({ value }) => value === 'subscription'));
}
