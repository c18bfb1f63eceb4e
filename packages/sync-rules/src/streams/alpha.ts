/** What streams of edition 2 may not have, beside what its expressions may not. */
import type { CompileContext } from '../definition.ts';
import type { SqlScalar, StreamSource } from '../document.ts';
import type { StreamQuery } from './query.ts';

export interface AlphaContext {
  readonly scalar: SqlScalar;
  readonly source: StreamSource;
  readonly context: CompileContext;
}

export function checkAlphaQuery(query: StreamQuery, { scalar, context }: AlphaContext): boolean {
  if (query.items.some((item) => item.kind === 'star' || item.name === 'id')) return true;
  context.diagnostics.add('missing-id', scalar.range);
  return false;
}
