/** What a SELECT of a stream of edition 2 may not have. */
import type { Reporter } from '../reporter.ts';
import type { Expression, SelectStatement } from '../sql/ast.ts';

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
