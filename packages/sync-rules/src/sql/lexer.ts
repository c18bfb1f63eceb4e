/** SQL text to tokens, in one pass. */
import type { Range } from './ast.ts';
import { SqlSyntaxError } from './syntax-error.ts';

export type TokenKind = 'word' | 'quoted' | 'string' | 'integer' | 'decimal' | 'bound' | 'operator' | 'end';

export interface Token extends Range {
  readonly kind: TokenKind;
  /**
   * Words: as written. Quoted identifiers and strings: the content, quotes undone. Numbers, operators: as written, but
   * `<>` as `!=`. End of text: empty.
   */
  readonly text: string;
  /** Words: upper case, to compare with keywords. Others: same as `text`. */
  readonly upper: string;
}

const DIGITS_MAX = 400;

const SPACE = /\s+/y;
const LINE_COMMENT = /--[^\n]*/y;
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy;
const NUMBER = /(?:\d+\.\d*|\.\d+|\d+)/y;
const STRING = /'[^']*(?:''[^']*)*'/y;
const QUOTED = /"[^"]*(?:""[^"]*)*"/y;
const BOUND = /\$\d+|(?<!:):[\p{L}_][\p{L}\p{N}_]*/uy;
/** Longest first. */
const OPERATOR = /->>|#>>|!~\*|<=|>=|<>|!=|\|\||&&|->|#>|@>|<@|<<|>>|::|~\*|!~|[-+*/%^=<>~&|#?(),.;[\]]/y;

/** Throws `SqlSyntaxError` at the first character that starts no token. The last token is always `end`. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at = skipBlank(sql, at);
    if (at >= sql.length) {
      tokens.push({ kind: 'end', text: '', upper: '', start: sql.length, end: sql.length });
      return tokens;
    }
    const token = nextToken(sql, at);
    tokens.push(token);
    at = token.end;
  }
}

/** Spaces and comments. An open comment ends the parse here, so that its text is looked at once only. */
function skipBlank(sql: string, from: number): number {
  let at = from;
  for (;;) {
    const start = at;
    at = skip(LINE_COMMENT, sql, skip(SPACE, sql, at));
    if (sql.startsWith('/*', at)) {
      const close = sql.indexOf('*/', at + 2);
      if (close < 0) throw new SqlSyntaxError('sql-syntax', 'a comment is not closed', { start: at, end: sql.length });
      at = close + 2;
    }
    if (at === start) return at;
  }
}

function nextToken(sql: string, start: number): Token {
  let end = skip(WORD, sql, start);
  if (end > start) {
    const text = sql.slice(start, end);
    return { kind: 'word', text, upper: text.toUpperCase(), start, end };
  }
  end = skip(NUMBER, sql, start);
  if (end > start) return numberToken(sql, start, end);
  end = skip(STRING, sql, start);
  if (end > start) return token('string', sql.slice(start + 1, end - 1).replaceAll("''", "'"), start, end);
  end = skip(QUOTED, sql, start);
  if (end > start) return token('quoted', sql.slice(start + 1, end - 1).replaceAll('""', '"'), start, end);
  end = skip(BOUND, sql, start);
  if (end > start) return token('bound', sql.slice(start, end), start, end);
  end = skip(OPERATOR, sql, start);
  if (end > start) {
    const text = sql.slice(start, end);
    return token('operator', text === '<>' ? '!=' : text, start, end);
  }
  throw badCharacter(sql, start);
}

function token(kind: TokenKind, text: string, start: number, end: number): Token {
  return { kind, text, upper: text, start, end };
}

function numberToken(sql: string, start: number, end: number): Token {
  const text = sql.slice(start, end);
  if (text.length > DIGITS_MAX) {
    throw new SqlSyntaxError('sql-syntax', `a number has more than ${DIGITS_MAX} digits`, { start, end });
  }
  const tail = skip(WORD, sql, end);
  if (tail > end) {
    const range = { start: end, end: tail };
    throw new SqlSyntaxError('sql-syntax', `"${sql.slice(end, tail)}" cannot follow a number directly`, range);
  }
  return token(text.includes('.') ? 'decimal' : 'integer', text, start, end);
}

function badCharacter(sql: string, start: number): SqlSyntaxError {
  const first = String.fromCodePoint(sql.codePointAt(start) ?? 0);
  const toEnd = { start, end: sql.length };
  if (first === "'") return new SqlSyntaxError('sql-syntax', 'a string is not closed', toEnd);
  if (first === '"') return new SqlSyntaxError('sql-syntax', 'a quoted name is not closed', toEnd);
  return new SqlSyntaxError('sql-syntax', `unexpected character ${JSON.stringify(first)}`, {
    start,
    end: start + first.length,
  });
}

function skip(pattern: RegExp, sql: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : at;
}
