/** What all queries of a bucket definition have in common: one SELECT, without clauses that rules do not have. */
import type { TablePattern } from '../api.ts';
import type { CompileContext } from '../definition.ts';
import type { Reporter } from '../reporter.ts';
import type { Identifier, SelectStatement, TableSource } from '../sql/ast.ts';
import { knownTables, tablePatternOf } from '../table-pattern.ts';

/** Parses a scalar as one SELECT. Null, and reported, if it is none; what else is wrong is reported too. */
export function selectOf(reporter: Reporter): SelectStatement | null {
  const statement = reporter.parse();
  if (statement === null) return null;
  if (statement.kind === 'other') {
    reporter.add('not-a-select', statement, statement.keyword);
    return null;
  }
  if (statement.distinct !== null) reporter.add('unsupported-clause', statement, 'DISTINCT');
  for (const { clause, range } of statement.extraClauses) reporter.add('unsupported-clause', range, clause);
  return statement;
}

export interface QueryTable {
  readonly source: TableSource;
  readonly pattern: TablePattern;
  /** The name that columns are qualified with. */
  readonly name: string;
  /** Known columns of the table by the source's schema; null if the table is not known. */
  readonly knownColumns: ReadonlySet<string> | null;
}

/** The one table of a query. Null, and reported, if there is none, or more. */
export function queryTable(select: SelectStatement, context: CompileContext, reporter: Reporter): QueryTable | null {
  const [first, ...others] = select.from;
  if (first === undefined) {
    reporter.add('unsupported-source', select, 'there is no table');
    return null;
  }
  if (others.length > 0) {
    reporter.add('unsupported-join', first.source);
    return null;
  }
  const { source } = first;
  if (source.kind !== 'table') {
    reporter.add('unsupported-source', source, source.kind === 'subquery' ? 'a query' : source.call.name.name);
    return null;
  }
  const pattern = tablePatternOf(source, context.defaultSchema);
  if (pattern === null) {
    reporter.add('wrong-schema-name', source.schema ?? source);
    return null;
  }
  if (source.schema === null && source.alias === null) warnUnquoted(source.name, reporter);
  const name = source.alias?.name ?? source.name.name;
  return { source, pattern, name, knownColumns: knownColumns(source, pattern, context, reporter) };
}

/** Warns at a name that was written with upper case and without quotes. */
export function warnUnquoted(identifier: Identifier, reporter: Reporter): void {
  const { quoted, name, text } = identifier;
  if (!quoted && name !== text) reporter.add('upper-case-name', identifier, text);
}

function knownColumns(
  source: TableSource,
  pattern: TablePattern,
  { schema }: CompileContext,
  reporter: Reporter,
): ReadonlySet<string> | null {
  if (schema === null) return null;
  const tables = knownTables(pattern, schema);
  if (tables.length === 0) {
    reporter.add('unknown-table', source.nameRange, source.name.name);
    return null;
  }
  return new Set(tables.flatMap(({ columns }) => columns.map(({ name }) => name)));
}
