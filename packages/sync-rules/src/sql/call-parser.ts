/** Function calls, with the odd forms SQL has for their arguments. */
import type { Expression, FunctionCall, Range, SelectStatement } from './ast.ts';
import type { TokenCursor } from './token-cursor.ts';

export interface CallContext {
  readonly cursor: TokenCursor;
  readonly expression: () => Expression;
  /** Parses a statement that starts at the current token. */
  readonly select: () => SelectStatement;
}

/** A call that starts at the current token; a name without parentheses is a call without arguments. */
export function parseCall(context: CallContext): FunctionCall {
  const { cursor } = context;
  const first = cursor.expectName(false);
  const second = cursor.takeOperator('.') ? cursor.expectName(true) : null;
  const [schema, name] = second === null ? [null, first] : [first, second];
  const nameRange = { start: first.start, end: name.end };
  const call = { kind: 'call', schema, name, nameRange } as const;
  if (!cursor.takeOperator('(')) return { ...call, args: [], keywordForm: true, modifier: null, ...nameRange };
  const { args, keywordForm, modifier } = callArguments(name.name, context);
  cursor.expectOperator(')');
  const { start } = first;
  const end = cursor.previousEnd;
  const behind = behindCall(cursor);
  return { ...call, args, keywordForm, modifier: modifier ?? behind, start, end };
}

interface Arguments {
  readonly args: Expression[];
  readonly keywordForm: boolean;
  readonly modifier: Range | null;
}

function callArguments(name: string, context: CallContext): Arguments {
  const { cursor, expression } = context;
  const args: Expression[] = [];
  let modifier = cursor.takeKeyword('DISTINCT');
  if (cursor.isOperator('*') && cursor.isOperator(')', 1)) modifier = cursor.take();
  if (cursor.isOperator(')')) return { args, keywordForm: false, modifier };
  args.push(argument(context));
  const keywordForm = name === 'substring' && (cursor.isKeyword('FROM') || cursor.isKeyword('FOR'));
  if (keywordForm) {
    const { start } = cursor.current;
    args.push(cursor.takeKeyword('FROM') === null ? { kind: 'literal', value: 1n, start, end: start } : expression());
    if (cursor.takeKeyword('FOR') !== null) args.push(expression());
  }
  while (cursor.takeOperator(',')) args.push(argument(context));
  const order = cursor.takeKeyword('ORDER BY');
  if (order === null) return { args, keywordForm, modifier };
  do expression();
  while (cursor.takeOperator(','));
  return { args, keywordForm, modifier: modifier ?? order };
}

/** An argument may be a statement without parentheses of its own: `EXISTS (SELECT ..)`. */
function argument({ cursor, expression, select: parseSelect }: CallContext): Expression {
  if (!cursor.isKeyword('SELECT')) return expression();
  const select = cursor.nested(parseSelect);
  return { kind: 'subquery', select, start: select.start, end: select.end };
}

/** `FILTER (..)` and `OVER (..)` behind a call: the first keyword, or null. */
function behindCall(cursor: TokenCursor): Range | null {
  let found: Range | null = null;
  for (const keyword of ['FILTER', 'OVER']) {
    if (!cursor.isKeyword(keyword) || !cursor.isOperator('(', 1)) continue;
    found ??= { start: cursor.current.start, end: cursor.current.end };
    cursor.take();
    takeParentheses(cursor);
  }
  return found;
}

function takeParentheses(cursor: TokenCursor): void {
  let depth = 0;
  do {
    if (cursor.isOperator('(')) depth++;
    if (cursor.isOperator(')')) depth--;
    if (cursor.isEnd()) cursor.fail('")" was expected');
    cursor.take();
  } while (depth > 0);
}
