import type { Literal } from './ast.ts';
import type { Token } from './lexer.ts';

/** The literal that a token is, or null. */
export function literalOf(token: Token): Literal | null {
  const { start, end } = token;
  if (token.kind === 'string') return { kind: 'literal', value: token.text, start, end };
  if (token.kind === 'integer') return { kind: 'literal', value: BigInt(token.text), start, end };
  if (token.kind === 'decimal') return { kind: 'literal', value: Number(token.text), start, end };
  if (token.kind !== 'word') return null;
  if (token.upper === 'NULL') return { kind: 'literal', value: null, start, end };
  if (token.upper === 'TRUE') return { kind: 'literal', value: true, start, end };
  if (token.upper === 'FALSE') return { kind: 'literal', value: false, start, end };
  return null;
}

/** A number with the minus that stands at `start` before it. */
export function negativeLiteral(token: Token, start: number): Literal {
  const value = token.kind === 'integer' ? -BigInt(token.text) : -Number(token.text);
  return { kind: 'literal', value, start, end: token.end };
}
