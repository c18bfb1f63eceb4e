/** A position in a list of tokens, and the few moves that both parsers are made of. */
import type { Identifier, Range } from './ast.ts';
import type { Token } from './lexer.ts';
import { SqlSyntaxError } from './syntax-error.ts';

/** Words that end an expression or begin a clause, hence no names unless quoted, or behind `AS` or a dot. */
const RESERVED = new Set(
  `ALL AND ANY ARRAY AS BETWEEN CASE CAST CROSS DISTINCT ELSE END EXCEPT FALSE FETCH FOR FROM FULL GROUP HAVING ILIKE
   IN INNER INTERSECT IS ISNULL JOIN LATERAL LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL OFFSET ON OR ORDER OUTER
   RETURNING RIGHT SELECT SIMILAR SOME THEN TRUE UNION USING WHEN WHERE WINDOW WITH`.split(/\s+/),
);

/** Nesting of parentheses, and height of the tree. Real rules stay below ten. */
export const DEPTH_MAX = 200;

export class TokenCursor {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  /** `tokens` ends with an `end` token. */
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.peek(0);
  }

  isEnd(): boolean {
    return this.current.kind === 'end';
  }

  /** End of the last token taken; 0 before the first. */
  get previousEnd(): number {
    return this.#tokens[this.#at - 1]?.end ?? 0;
  }

  peek(ahead: number): Token {
    const token = this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
    if (token === undefined) throw new SqlSyntaxError('sql-empty', 'there is no SQL', { start: 0, end: 0 });
    return token;
  }

  take(): Token {
    const token = this.current;
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  /** Whether the next words, in a row, are these keywords (upper case, separated by spaces). */
  isKeyword(keywords: string, ahead = 0): boolean {
    const { kind, upper } = this.peek(ahead);
    if (kind !== 'word' || !keywords.startsWith(upper)) return false;
    if (keywords.length === upper.length) return true;
    return keywords[upper.length] === ' ' && this.isKeyword(keywords.slice(upper.length + 1), ahead + 1);
  }

  /** Takes the keywords if they are next; the range they cover, or null. */
  takeKeyword(keywords: string): Range | null {
    if (!this.isKeyword(keywords)) return null;
    const start = this.current.start;
    for (const _ of keywords.split(' ')) this.take();
    return { start, end: this.previousEnd };
  }

  expectKeyword(keyword: string): Range {
    return this.takeKeyword(keyword) ?? this.fail(`${keyword} was expected`);
  }

  isOperator(operator: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'operator' && token.text === operator;
  }

  takeOperator(operator: string): boolean {
    if (!this.isOperator(operator)) return false;
    this.take();
    return true;
  }

  expectOperator(operator: string): void {
    if (!this.takeOperator(operator)) this.fail(`"${operator}" was expected`);
  }

  /** Whether a name stands here that needs no quotes. */
  isName(ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'quoted' || (token.kind === 'word' && !RESERVED.has(token.upper));
  }

  /** Takes a name. `anyWord`: reserved words too, as behind `AS` or a dot. */
  expectName(anyWord: boolean): Identifier {
    if (!this.isName() && !(anyWord && this.current.kind === 'word')) this.fail('a name was expected');
    const token = this.take();
    const quoted = token.kind === 'quoted';
    const name = quoted ? token.text : token.text.toLowerCase();
    return { name, text: token.text, quoted, start: token.start, end: token.end };
  }

  /** Ends the parse at the current token. */
  fail(expected: string): never {
    const token = this.current;
    const found = token.kind === 'end' ? 'the text ends here' : `found ${JSON.stringify(token.text)}`;
    throw new SqlSyntaxError('sql-syntax', `${expected}, ${found}`, token);
  }

  /** Runs `parse` one level deeper; ends the parse beyond `DEPTH_MAX` levels. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > DEPTH_MAX) this.failDepth(this.current);
    const result = parse();
    this.#depth--;
    return result;
  }

  failDepth(range: Range): never {
    throw new SqlSyntaxError('sql-too-deep', `more than ${DEPTH_MAX} levels of nesting`, range);
  }
}
