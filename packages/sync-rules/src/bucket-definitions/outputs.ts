/** The SELECT list of a data query as a projection. */
import type { Projection, ProjectionItem } from '../expression/projection.ts';
import type { SelectItem, SelectStatement } from '../sql/ast.ts';
import type { ConditionBuilder } from './condition-builder.ts';
import type { QueryContext } from './expressions.ts';
import type { Input } from './input.ts';
import { type QueryTable, warnUnquoted } from './query-source.ts';

/** Null if anything is wrong; everything wrong has been reported then. */
export function projectionOf(
  select: SelectStatement,
  table: QueryTable,
  tools: { readonly builder: ConditionBuilder; readonly query: QueryContext },
): Projection<Input> | null {
  const items = select.items.map((item) => projectionItem(item, table, tools));
  const usable = items.filter((item) => item !== null);
  return usable.length < items.length ? null : { items: usable, stars: 'fill' };
}

function projectionItem(
  item: SelectItem,
  table: QueryTable,
  { builder, query }: { readonly builder: ConditionBuilder; readonly query: QueryContext },
): ProjectionItem<Input> | null {
  const { reporter } = query;
  if (item.kind === 'star') {
    const known = item.schema === null && (item.table === null || item.table.name === table.name);
    if (!known) reporter.add('unknown-table-name', item, item.table?.name);
    return known ? { kind: 'star' } : null;
  }
  const name = outputName(item);
  if (item.alias !== null) warnUnquoted(item.alias, reporter);
  const plan = builder.plan(item.expression);
  if (name === null) {
    reporter.add('alias-needed', item);
    return null;
  }
  if (plan === null) return null;
  if (plan.op === 'input' && plan.input.kind === 'column') return { kind: 'column', name, column: plan.input.name };
  return { kind: 'plan', name, plan };
}

/** The alias, or the name of a bare column; null for other expressions. */
export function outputName(item: Extract<SelectItem, { kind: 'expression' }>): string | null {
  if (item.alias !== null) return item.alias.name;
  return item.expression.kind === 'column' ? item.expression.column.name : null;
}

/** Whether the query outputs a column `id`, as far as its text tells. */
export function selectsId(select: SelectStatement): boolean {
  return select.items.some((item) => item.kind === 'star' || outputName(item) === 'id');
}

/** The first `*` of the list, or null. */
export function firstStar(select: SelectStatement): SelectItem | null {
  return select.items.find((item) => item.kind === 'star') ?? null;
}
