/**
 * Parser of the SQL dialect of sync rules, all editions: one statement, linear in its length, with a bound on nesting.
 */
import type { ExtraClause, Identifier, OtherStatement, Range, SelectItem, SelectStatement, Statement } from './ast.ts';
import { ExpressionParser } from './expression-parser.ts';
import { parseFrom } from './from-parser.ts';
import { tokenize } from './lexer.ts';
import { SqlSyntaxError, type SyntaxErrorCode } from './syntax-error.ts';
import { TokenCursor } from './token-cursor.ts';

export interface ParsedSql {
  readonly ok: true;
  readonly statement: Statement;
  /** The statement that follows a `;`, or null. More than one statement is an error at the second in all editions. */
  readonly trailing: Range | null;
}

export interface SqlProblem {
  readonly ok: false;
  readonly code: SyntaxErrorCode;
  readonly message: string;
  /** The offending token; empty at the end of the text. */
  readonly range: Range;
}

/** Parses one scalar. Never throws for what the text says. */
export function parseSql(sql: string): ParsedSql | SqlProblem {
  try {
    const cursor = new TokenCursor(tokenize(sql));
    const statement = new StatementParser(cursor).statement();
    while (cursor.takeOperator(';'));
    return { ok: true, statement, trailing: nextStatement(cursor) };
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    return { ok: false, code: error.code, message: error.message, range: error.range };
  }
}

function nextStatement(cursor: TokenCursor): Range | null {
  if (cursor.isEnd()) return null;
  const start = cursor.current.start;
  takeToSemicolon(cursor);
  return { start, end: cursor.previousEnd };
}

function takeToSemicolon(cursor: TokenCursor): void {
  while (!cursor.isEnd() && !cursor.isOperator(';')) cursor.take();
}

const SET_OPERATORS = ['UNION', 'INTERSECT', 'EXCEPT'] as const;
const OTHER_STATEMENTS = new Set(
  'ALTER ANALYZE CALL COPY CREATE DELETE DO DROP EXPLAIN GRANT INSERT MERGE REVOKE SET SHOW TRUNCATE UPDATE VALUES WITH'.split(
    ' ',
  ),
);
const CLAUSES = ['GROUP BY', 'HAVING', 'WINDOW', 'ORDER BY', 'LIMIT', 'OFFSET', 'FETCH', 'FOR'] as const;

class StatementParser {
  readonly #cursor: TokenCursor;
  readonly #expressions: ExpressionParser;

  constructor(cursor: TokenCursor) {
    this.#cursor = cursor;
    this.#expressions = new ExpressionParser(cursor, () => this.#select());
  }

  statement(): Statement {
    const cursor = this.#cursor;
    if (cursor.isEnd()) throw new SqlSyntaxError('sql-empty', 'there is no SQL', cursor.current);
    if (!cursor.isKeyword('SELECT')) return this.#otherStatement(cursor.current.upper, cursor.current.start);
    const select = this.#select();
    const operator = SET_OPERATORS.find((keyword) => cursor.isKeyword(keyword));
    if (operator !== undefined) return this.#rest(operator, select.start);
    if (!cursor.isEnd() && !cursor.isOperator(';')) cursor.fail('the end of the statement was expected');
    return select;
  }

  #otherStatement(keyword: string, start: number): OtherStatement {
    if (!OTHER_STATEMENTS.has(keyword)) this.#cursor.fail('SELECT was expected');
    return this.#rest(keyword, start);
  }

  #rest(keyword: string, start: number): OtherStatement {
    takeToSemicolon(this.#cursor);
    return { kind: 'other', keyword, start, end: this.#cursor.previousEnd };
  }

  #select(): SelectStatement {
    const cursor = this.#cursor;
    const start = cursor.expectKeyword('SELECT').start;
    const distinct = cursor.takeKeyword('DISTINCT');
    if (distinct === null) cursor.takeKeyword('ALL');
    const items = this.#items();
    const from = parseFrom({ cursor, expressions: this.#expressions, select: () => this.#select() });
    const where = cursor.takeKeyword('WHERE') === null ? null : this.#expressions.expression();
    const extraClauses = this.#extraClauses();
    return { kind: 'select', distinct, items, from, where, extraClauses, start, end: cursor.previousEnd };
  }

  #items(): SelectItem[] {
    const items: SelectItem[] = [];
    if (this.#atEndOfItems()) return items;
    do items.push(this.#star() ?? this.#item());
    while (this.#cursor.takeOperator(','));
    return items;
  }

  #atEndOfItems(): boolean {
    const cursor = this.#cursor;
    const ends = ['FROM', 'WHERE', ...SET_OPERATORS, ...CLAUSES];
    return (
      cursor.isEnd() ||
      cursor.isOperator(';') ||
      cursor.isOperator(')') ||
      ends.some((keyword) => cursor.isKeyword(keyword))
    );
  }

  /** `*`, `table.*` or `schema.table.*`. */
  #star(): SelectItem | null {
    const cursor = this.#cursor;
    let names = 0;
    while (names < 2 && cursor.isName(2 * names) && cursor.isOperator('.', 2 * names + 1)) names++;
    if (!cursor.isOperator('*', 2 * names)) return null;
    const start = cursor.current.start;
    const path: Identifier[] = [];
    for (; names > 0; names--) {
      path.push(cursor.expectName(false));
      cursor.take();
    }
    cursor.take();
    return { kind: 'star', schema: path.at(-2) ?? null, table: path.at(-1) ?? null, start, end: cursor.previousEnd };
  }

  #item(): SelectItem {
    const expression = this.#expressions.expression();
    const cursor = this.#cursor;
    const explicit = cursor.takeKeyword('AS') !== null;
    const alias = explicit || cursor.isName() ? cursor.expectName(explicit) : null;
    return { kind: 'expression', expression, alias, start: expression.start, end: expression.end };
  }

  #extraClauses(): ExtraClause[] {
    const found: ExtraClause[] = [];
    for (;;) {
      const clause = CLAUSES.find((keyword) => this.#cursor.isKeyword(keyword));
      if (clause === undefined) return found;
      const keyword = this.#cursor.takeKeyword(clause);
      found.push({ clause, range: this.#clauseOperand() ?? keyword ?? this.#cursor.current });
    }
  }

  /** Range of the first operand; what follows it up to the next clause is skipped. */
  #clauseOperand(): Range | null {
    const cursor = this.#cursor;
    let first: Range | null = null;
    for (let depth = 0; ; cursor.take()) {
      if (cursor.isOperator('(')) depth++;
      else if (cursor.isOperator(')') && depth-- === 0) return first;
      if (cursor.isEnd() || cursor.isOperator(';')) return first;
      if (depth === 0 && [...CLAUSES, ...SET_OPERATORS].some((keyword) => cursor.isKeyword(keyword))) return first;
      first ??= { start: cursor.current.start, end: cursor.current.end };
    }
  }
}
