/** What streams of edition 2 may not have, beside what its expressions may not: they are a smaller language. */
import type { CompileContext } from '../definition.ts';
import type { SqlScalar, StreamSource } from '../document.ts';
import { inputsOf } from '../expression/plan.ts';
import type { Reporter } from '../reporter.ts';
import type { Expression, SelectStatement } from '../sql/ast.ts';
import type { KeyReferences, RequestPlan } from './plan.ts';
import type { StreamQuery } from './query.ts';

/** One table, and no OR in queries inside. */
export function checkAlphaSelect(select: SelectStatement, reporter: Reporter, isInner: boolean): void {
  const [first, ...others] = select.from;
  if (others.length > 0) reporter.add('unsupported-join', select);
  else if (first !== undefined && first.source.kind !== 'table') reporter.add('unsupported-source', first.source);
  const or = isInner ? findOr(select.where) : null;
  if (or !== null) reporter.add('or-in-subquery', or);
}

function findOr(node: Expression | null): Expression | null {
  if (node?.kind !== 'logical') return null;
  if (node.operator === 'OR') return node;
  return node.operands.map(findOr).find((or) => or !== null) ?? null;
}

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
