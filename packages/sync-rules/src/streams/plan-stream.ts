/** All queries of one stream, planned: its kinds of buckets. */
import { invariant } from '@sluice/core';
import type { CompileContext } from '../definition.ts';
import type { StreamSource } from '../document.ts';
import type { Projection, ProjectionItem } from '../expression/projection.ts';
import { checkAlphaQuery, checkAlphaRequest, warnAlphaDefault } from './alpha.ts';
import type { CommonTables } from './common-tables.ts';
import type { Conjunction } from './condition.ts';
import { type BucketRowPlan, bucketRowText, type RequestPlan, requestText, type RowInput } from './plan.ts';
import { type ConjunctionPlan, planConjunction } from './plan-conjunction.ts';
import { readQuery, type StreamQuery } from './query.ts';

const BUCKETS_MAX = 100;

export interface StreamPlan {
  readonly kinds: readonly BucketKind[];
}

/** Alternatives whose request sides are the same share buckets, which have the number of the first. */
export interface BucketKind {
  readonly number: number;
  readonly rows: readonly BucketRowPlan[];
  readonly request: RequestPlan;
}

/** Null if a query is wrong; everything wrong has been reported then. */
export function planStream(
  source: StreamSource,
  commonTables: CommonTables,
  context: CompileContext,
): StreamPlan | null {
  const isAlpha = context.compatibility.edition < 3;
  const queries = source.queries.map((scalar) => {
    const query = readQuery(scalar, commonTables, context);
    const isUsable = query !== null && (!isAlpha || checkAlphaQuery(query, context));
    return isUsable ? { query, scalar } : null;
  });
  const usable = queries.filter((query) => query !== null);
  if (usable.length < queries.length) return null;
  const alternatives = usable.flatMap(({ query, scalar }) =>
    query.alternatives.map((conjunction) => ({ scalar, ...planAlternative(query, conjunction, isAlpha) })),
  );
  const kinds = new Map<string, { number: number; rows: Map<string, BucketRowPlan>; request: RequestPlan }>();
  for (const [number, { row, request, scalar }] of alternatives.entries()) {
    if (isAlpha && !checkAlphaRequest(request, scalar, context)) return null;
    const identity = isAlpha ? String(number) : requestText(request);
    const kind = kinds.get(identity) ?? { number, rows: new Map(), request };
    kind.rows.set(bucketRowText(row), row);
    kinds.set(identity, kind);
  }
  if (isAlpha)
    warnAlphaDefault(
      source,
      alternatives.map(({ request }) => request),
      context,
    );
  const [first] = source.queries;
  if (kinds.size > BUCKETS_MAX && first !== undefined) {
    context.diagnostics.add('too-many-buckets', first.range, `${kinds.size}; the most is ${BUCKETS_MAX}`);
    return null;
  }
  return {
    kinds: [...kinds.values()].map(({ number, rows, request }) => ({ number, rows: [...rows.values()], request })),
  };
}

function planAlternative(
  query: StreamQuery,
  conjunction: Conjunction,
  isAlpha: boolean,
): { readonly row: BucketRowPlan; readonly request: RequestPlan } {
  const plan = planConjunction(query, conjunction);
  const projection: Projection<RowInput> = {
    items: query.items.map((item) => projectionItem(item, plan)),
    stars: isAlpha ? 'fill' : 'overwrite',
  };
  return { row: { ...plan.row, outputName: plan.table.outputName, projection }, request: plan.request };
}

function projectionItem(item: StreamQuery['items'][number], { toRow }: ConjunctionPlan): ProjectionItem<RowInput> {
  if (item.kind === 'star') return item;
  const plan = toRow(item.plan);
  const { name } = item;
  if (plan.op !== 'input') return { kind: 'plan', name, plan };
  invariant(plan.input.kind !== 'element', 'streams: only columns are selected');
  if (plan.input.kind === 'tableSuffix') return { kind: 'plan', name, plan };
  return { kind: 'column', name, column: plan.input.name };
}
