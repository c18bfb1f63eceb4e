/** The FROM clause: sources, aliases and joins. */
import type { FromItem, Identifier, Join, SelectStatement, Source, TableSource } from './ast.ts';
import type { ExpressionParser } from './expression-parser.ts';
import type { TokenCursor } from './token-cursor.ts';

export interface FromContext {
  readonly cursor: TokenCursor;
  readonly expressions: ExpressionParser;
  /** Parses a statement that starts at the current token. */
  readonly select: () => SelectStatement;
}

/** The sources of a statement in order; empty without FROM. */
export function parseFrom(context: FromContext): FromItem[] {
  const { cursor } = context;
  if (cursor.takeKeyword('FROM') === null) return [];
  const items: FromItem[] = [{ source: source(context), join: null }];
  for (;;) {
    const join = joinHead(cursor);
    if (join !== null) items.push(joined(context, join));
    else if (cursor.takeOperator(',')) items.push({ source: source(context), join: null });
    else return items;
  }
}

interface JoinHead {
  readonly type: Join['type'];
  readonly natural: boolean;
  readonly start: number;
}

function joinHead(cursor: TokenCursor): JoinHead | null {
  const start = cursor.current.start;
  const natural = cursor.takeKeyword('NATURAL') !== null;
  const type = (['INNER', 'CROSS', 'LEFT', 'RIGHT', 'FULL'] as const).find(
    (keyword) => cursor.takeKeyword(keyword) !== null,
  );
  const outer = type === 'LEFT' || type === 'RIGHT' || type === 'FULL';
  if (outer) cursor.takeKeyword('OUTER');
  if (natural || type !== undefined) cursor.expectKeyword('JOIN');
  else if (cursor.takeKeyword('JOIN') === null) return null;
  return { type: type ?? 'INNER', natural, start };
}

function joined(context: FromContext, head: JoinHead): FromItem {
  const { cursor, expressions } = context;
  const right = source(context);
  const using: Identifier[] = [];
  const onKeyword = cursor.takeKeyword('ON');
  const on = onKeyword === null ? null : expressions.expression();
  const onRange = onKeyword === null ? null : { start: onKeyword.start, end: cursor.previousEnd };
  if (onKeyword === null && cursor.takeKeyword('USING') !== null) using.push(...nameList(cursor));
  const range = { start: head.start, end: cursor.previousEnd };
  return { source: right, join: { type: head.type, natural: head.natural, on, onRange, using, range } };
}

function source(context: FromContext): Source {
  const { cursor } = context;
  cursor.takeKeyword('LATERAL');
  if (cursor.isOperator('(')) return subquerySource(context);
  if (cursor.isName() && (cursor.isOperator('(', 1) || (cursor.isOperator('.', 1) && cursor.isOperator('(', 3)))) {
    const call = context.expressions.functionCall();
    return { kind: 'function', call, ...aliases(cursor), start: call.start, end: call.end };
  }
  return tableSource(cursor);
}

function subquerySource(context: FromContext): Source {
  const { cursor } = context;
  const start = cursor.current.start;
  cursor.expectOperator('(');
  if (!cursor.isKeyword('SELECT')) cursor.fail('SELECT was expected');
  const select = cursor.nested(context.select);
  cursor.expectOperator(')');
  const end = cursor.previousEnd;
  return { kind: 'subquery', select, ...aliases(cursor), start, end };
}

function tableSource(cursor: TokenCursor): TableSource {
  const first = cursor.expectName(false);
  const second = cursor.takeOperator('.') ? cursor.expectName(true) : null;
  if (cursor.isOperator('.')) cursor.fail('a table name has at most one schema before it');
  const nameRange = { start: first.start, end: cursor.previousEnd };
  const [schema, name] = second === null ? [null, first] : [first, second];
  return { kind: 'table', schema, name, nameRange, ...aliases(cursor), start: first.start, end: cursor.previousEnd };
}

function aliases(cursor: TokenCursor): { alias: Identifier | null; columnAliases: readonly Identifier[] } {
  const explicit = cursor.takeKeyword('AS') !== null;
  if (!explicit && !cursor.isName()) return { alias: null, columnAliases: [] };
  const alias = cursor.expectName(explicit);
  return { alias, columnAliases: cursor.isOperator('(') ? nameList(cursor) : [] };
}

function nameList(cursor: TokenCursor): Identifier[] {
  cursor.expectOperator('(');
  const names = [cursor.expectName(false)];
  while (cursor.takeOperator(',')) names.push(cursor.expectName(false));
  cursor.expectOperator(')');
  return names;
}
