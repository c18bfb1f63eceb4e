/**
 * Expressions, by precedence climbing. From loose to tight: OR, AND, NOT, IS, comparisons, BETWEEN/IN/LIKE, other
 * operators (`||`, `&&`, ..), `+ -`, `* / %`, `^`, unary `+ -`, postfix (`::`, `->`, `->>`, subscripts).
 */
import type {
  BinaryOperator,
  Expression,
  FunctionCall,
  Identifier,
  LogicalExpression,
  Range,
  SelectStatement,
  TypeName,
} from './ast.ts';
import { parseCall } from './call-parser.ts';
import { literalOf, negativeLiteral } from './literals.ts';
import { DEPTH_MAX, type TokenCursor } from './token-cursor.ts';

const COMPARISONS = ['=', '!=', '<', '<=', '>', '>='] as const;
/** Binding power of infix operators that lean to the left. */
const INFIX: Readonly<Record<string, number>> = {
  '||': 1,
  '&&': 1,
  '&': 1,
  '|': 1,
  '#': 1,
  '<<': 1,
  '>>': 1,
  '#>': 1,
  '#>>': 1,
  '@>': 1,
  '<@': 1,
  '?': 1,
  '~': 1,
  '~*': 1,
  '!~': 1,
  '!~*': 1,
  '+': 2,
  '-': 2,
  '*': 3,
  '/': 3,
  '%': 3,
  '^': 4,
};
const PATTERN_OPERATORS = ['LIKE', 'ILIKE', 'SIMILAR TO'] as const;
/** Functions written without parentheses. */
const BARE_CALLS = new Set(
  'CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP CURRENT_USER SESSION_USER'.split(' '),
);

export class ExpressionParser {
  readonly #cursor: TokenCursor;
  readonly #select: () => SelectStatement;
  /** Height of each node made, leaves left out. */
  readonly #heights = new WeakMap<Expression, number>();

  /** `select` parses a statement that starts at the current token. */
  constructor(cursor: TokenCursor, select: () => SelectStatement) {
    this.#cursor = cursor;
    this.#select = select;
  }

  expression(): Expression {
    return this.#cursor.nested(() => this.#chain('OR', () => this.#chain('AND', () => this.#not())));
  }

  /** Makes a node known whose children are given; ends the parse if the tree gets too high. */
  #node<T extends Expression>(node: T, children: readonly Expression[]): T {
    let height = 0;
    for (const child of children) height = Math.max(height, (this.#heights.get(child) ?? 0) + 1);
    if (height > DEPTH_MAX) this.#cursor.failDepth(node);
    if (height > 0) this.#heights.set(node, height);
    return node;
  }

  #chain(operator: 'AND' | 'OR', operand: () => Expression): Expression {
    const first = operand();
    if (!this.#cursor.isKeyword(operator)) return first;
    const operands = flatten(operator, first);
    while (this.#cursor.takeKeyword(operator) !== null) {
      for (const next of flatten(operator, operand())) operands.push(next);
    }
    const end = operands.at(-1)?.end ?? first.end;
    const node: LogicalExpression = { kind: 'logical', operator, operands, start: first.start, end };
    return this.#node(node, operands);
  }

  #not(): Expression {
    const keywords: Range[] = [];
    for (let keyword = this.#cursor.takeKeyword('NOT'); keyword !== null; keyword = this.#cursor.takeKeyword('NOT')) {
      keywords.push(keyword);
    }
    let node = this.#is();
    for (const { start } of keywords.reverse()) {
      node = this.#node({ kind: 'unary', operator: 'NOT', operand: node, start, end: node.end }, [node]);
    }
    return node;
  }

  #is(): Expression {
    const cursor = this.#cursor;
    let operand = this.#comparison();
    for (;;) {
      const start = operand.start;
      if (cursor.takeKeyword('ISNULL') !== null || cursor.takeKeyword('NOTNULL') !== null) {
        const negated = cursor.peek(-1).upper === 'NOTNULL';
        operand = this.#node({ kind: 'is', operand, negated, test: 'NULL', start, end: cursor.previousEnd }, [operand]);
        continue;
      }
      if (cursor.takeKeyword('IS') === null) return operand;
      operand = this.#isTest(operand);
    }
  }

  #isTest(operand: Expression): Expression {
    const cursor = this.#cursor;
    const negated = cursor.takeKeyword('NOT') !== null;
    if (cursor.takeKeyword('DISTINCT FROM') !== null) {
      return this.#binary(negated ? 'IS NOT DISTINCT FROM' : 'IS DISTINCT FROM', operand, this.#comparison());
    }
    const test = (['NULL', 'TRUE', 'FALSE', 'UNKNOWN'] as const).find((word) => cursor.takeKeyword(word) !== null);
    if (test === undefined) return cursor.fail('NULL, TRUE or FALSE was expected');
    return this.#node({ kind: 'is', operand, negated, test, start: operand.start, end: cursor.previousEnd }, [operand]);
  }

  #comparison(): Expression {
    let left = this.#range();
    for (;;) {
      const operator = COMPARISONS.find((text) => this.#cursor.takeOperator(text));
      if (operator === undefined) return left;
      left = this.#binary(operator, left, this.#range());
    }
  }

  /** BETWEEN, IN and LIKE. */
  #range(): Expression {
    let operand = this.#infix(1);
    for (;;) {
      const next = this.#rangeTail(operand);
      if (next === null) return operand;
      operand = next;
    }
  }

  #rangeTail(operand: Expression): Expression | null {
    const cursor = this.#cursor;
    const ahead = cursor.isKeyword('NOT') ? 1 : 0;
    const keyword = (['BETWEEN', 'IN', ...PATTERN_OPERATORS] as const).find((word) => cursor.isKeyword(word, ahead));
    if (keyword === undefined) return null;
    const negated = cursor.takeKeyword('NOT') !== null;
    cursor.takeKeyword(keyword);
    const { start } = operand;
    if (keyword === 'IN') {
      const right = this.#infix(1);
      return this.#node({ kind: 'in', operand, negated, right, start, end: right.end }, [operand, right]);
    }
    if (keyword === 'BETWEEN') {
      const low = this.#infix(1);
      cursor.expectKeyword('AND');
      const high = this.#infix(1);
      return this.#node({ kind: 'between', operand, negated, low, high, start, end: high.end }, [operand, low, high]);
    }
    return this.#binary(negated ? `NOT ${keyword}` : keyword, operand, this.#infix(1));
  }

  /** Operators that bind at least as tight as `power`. */
  #infix(power: number): Expression {
    let left = this.#unary();
    for (;;) {
      const { kind, text } = this.#cursor.current;
      const found = kind === 'operator' ? INFIX[text] : undefined;
      if (found === undefined || found < power) return left;
      this.#cursor.take();
      const right = this.#cursor.nested(() => this.#infix(found + 1));
      left = this.#binary(text as BinaryOperator, left, right);
    }
  }

  #binary(operator: BinaryOperator, left: Expression, right: Expression): Expression {
    return this.#node({ kind: 'binary', operator, left, right, start: left.start, end: right.end }, [left, right]);
  }

  #unary(): Expression {
    const cursor = this.#cursor;
    const { start, text } = cursor.current;
    if (!cursor.isOperator('+') && !cursor.isOperator('-') && !cursor.isOperator('~')) return this.#postfix();
    const number = cursor.peek(1);
    if (text === '-' && (number.kind === 'integer' || number.kind === 'decimal')) {
      cursor.take();
      return this.#postfixOf(negativeLiteral(cursor.take(), start));
    }
    cursor.take();
    const operand = cursor.nested(() => this.#unary());
    return this.#node({ kind: 'unary', operator: text as '+' | '-' | '~', operand, start, end: operand.end }, [
      operand,
    ]);
  }

  #postfix(): Expression {
    return this.#postfixOf(this.#primary());
  }

  #postfixOf(first: Expression): Expression {
    const cursor = this.#cursor;
    let operand = first;
    for (;;) {
      const { start } = first;
      const arrow = (['->>', '->'] as const).find((text) => cursor.takeOperator(text));
      if (arrow !== undefined) {
        operand = this.#binary(arrow, operand, this.#path());
      } else if (cursor.takeOperator('::')) {
        const type = this.#typeName();
        operand = this.#node({ kind: 'cast', operand, type, start, end: type.end }, [operand]);
      } else if (cursor.takeOperator('[')) {
        this.expression();
        cursor.expectOperator(']');
        operand = this.#node({ kind: 'unsupported', construct: 'array subscripts', start, end: cursor.previousEnd }, [
          operand,
        ]);
      } else return operand;
    }
  }

  /** What stands behind an arrow: a key or index, or a name or call. */
  #path(): Expression {
    const cursor = this.#cursor;
    const { start } = cursor.current;
    const number = cursor.peek(1);
    if (!cursor.isOperator('-') || (number.kind !== 'integer' && number.kind !== 'decimal')) return this.#primary();
    cursor.take();
    return negativeLiteral(cursor.take(), start);
  }

  #primary(): Expression {
    const cursor = this.#cursor;
    const token = cursor.current;
    const { start, end } = token;
    const literal = literalOf(token);
    if (literal !== null) {
      cursor.take();
      return literal;
    }
    if (token.kind === 'bound' || cursor.isOperator('?')) {
      cursor.take();
      return { kind: 'bound', text: token.text, start, end };
    }
    if (cursor.takeOperator('(')) return this.#parenthesised(start);
    if (cursor.isKeyword('CASE')) return this.#case();
    if (cursor.isKeyword('CAST')) return this.#cast();
    if (cursor.isKeyword('ARRAY') && cursor.isOperator('[', 1)) return this.#list('array', '[', ']');
    if (cursor.isKeyword('ROW') && cursor.isOperator('(', 1)) return this.#list('row', '(', ')');
    if (!cursor.isName()) cursor.fail('an expression was expected');
    return this.#named();
  }

  #parenthesised(start: number): Expression {
    const cursor = this.#cursor;
    if (cursor.isKeyword('SELECT')) {
      const select = cursor.nested(this.#select);
      cursor.expectOperator(')');
      return { kind: 'subquery', select, start: select.start, end: select.end };
    }
    const items = [this.expression()];
    while (cursor.takeOperator(',')) items.push(this.expression());
    cursor.expectOperator(')');
    const [only] = items;
    if (only !== undefined && items.length === 1) return only;
    return this.#node({ kind: 'list', items, start, end: cursor.previousEnd }, items);
  }

  #case(): Expression {
    const cursor = this.#cursor;
    const { start } = cursor.expectKeyword('CASE');
    const operand = cursor.isKeyword('WHEN') ? null : this.expression();
    const whens: { when: Expression; result: Expression }[] = [];
    while (cursor.takeKeyword('WHEN') !== null) {
      const when = this.expression();
      cursor.expectKeyword('THEN');
      whens.push({ when, result: this.expression() });
    }
    if (whens.length === 0) cursor.fail('WHEN was expected');
    const otherwise = cursor.takeKeyword('ELSE') === null ? null : this.expression();
    const { end } = cursor.expectKeyword('END');
    const children = [operand, otherwise, ...whens.flatMap(({ when, result }) => [when, result])];
    return this.#node(
      { kind: 'case', operand, whens, otherwise, start, end },
      children.filter((child) => child !== null),
    );
  }

  #cast(): Expression {
    const cursor = this.#cursor;
    const { start } = cursor.expectKeyword('CAST');
    cursor.expectOperator('(');
    const operand = this.expression();
    cursor.expectKeyword('AS');
    const type = this.#typeName();
    cursor.expectOperator(')');
    return this.#node({ kind: 'cast', operand, type, start, end: cursor.previousEnd }, [operand]);
  }

  #typeName(): TypeName {
    const cursor = this.#cursor;
    const first = cursor.expectName(false);
    const words = [first.name];
    for (const more of ['PRECISION', 'VARYING', 'WITH TIME ZONE', 'WITHOUT TIME ZONE']) {
      if (cursor.takeKeyword(more) !== null) words.push(more.toLowerCase());
    }
    if (cursor.takeOperator('(')) {
      do this.expression();
      while (cursor.takeOperator(','));
      cursor.expectOperator(')');
    }
    const array = cursor.isOperator('[') && cursor.isOperator(']', 1);
    if (array) {
      cursor.take();
      cursor.take();
    }
    return { name: words.join(' '), array, start: first.start, end: cursor.previousEnd };
  }

  #list(kind: 'array' | 'row', open: string, close: string): Expression {
    const cursor = this.#cursor;
    const { start } = cursor.take();
    cursor.expectOperator(open);
    const items: Expression[] = [];
    if (!cursor.isOperator(close)) {
      do items.push(this.expression());
      while (cursor.takeOperator(','));
    }
    cursor.expectOperator(close);
    return this.#node({ kind, items, start, end: cursor.previousEnd }, items);
  }

  /** A column or a call, qualified or not. */
  #named(): Expression {
    const cursor = this.#cursor;
    const bare = cursor.current.kind === 'word' && BARE_CALLS.has(cursor.current.upper);
    if (bare || cursor.isOperator('(', 1) || (cursor.isOperator('.', 1) && cursor.isOperator('(', 3))) {
      return this.functionCall();
    }
    const path: Identifier[] = [cursor.expectName(false)];
    while (path.length < 3 && cursor.takeOperator('.')) path.push(cursor.expectName(true));
    const [last, table = null, schema = null] = path.reverse();
    if (last === undefined) return cursor.fail('a name was expected');
    const { start } = schema ?? table ?? last;
    return { kind: 'column', schema, table, column: last, start, end: last.end };
  }

  /** A call that starts at the current token. */
  functionCall(): FunctionCall {
    const call = parseCall({ cursor: this.#cursor, expression: () => this.expression(), select: this.#select });
    return this.#node(call, call.args);
  }
}

function flatten(operator: 'AND' | 'OR', node: Expression): Expression[] {
  return node.kind === 'logical' && node.operator === operator ? [...node.operands] : [node];
}
