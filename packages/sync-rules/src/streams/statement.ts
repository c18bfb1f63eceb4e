import type { Reporter } from '../reporter.ts';
import type { SelectStatement } from '../sql/ast.ts';

/** Parses a scalar as one SELECT. Null, and reported, if it is none. */
export function statementOf(reporter: Reporter): SelectStatement | null {
  const statement = reporter.parse();
  if (statement === null) return null;
  if (statement.kind === 'other') {
    reporter.add('not-a-select', statement, statement.keyword);
    return null;
  }
  if (statement.distinct !== null) reporter.add('distinct-ignored', statement.distinct);
  return statement;
}
