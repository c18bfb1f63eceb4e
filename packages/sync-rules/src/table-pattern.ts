/** Which source tables a name in FROM means. */
import type { SourceSchema, TablePattern, TableShape } from './api.ts';
import type { TableSource } from './sql/ast.ts';

/** Tag of the connection that names without one belong to. */
export const DEFAULT_CONNECTION_TAG = 'default';

/**
 * A name that ends in `%` means all tables that start with the rest. A quoted schema `"tag.schema"` names the connection
 * too.
 * @returns null if the schema has more than one dot
 */
export function tablePatternOf(source: TableSource, defaultSchema: string): TablePattern | null {
  const path = source.schema === null ? [defaultSchema] : source.schema.name.split('.');
  const [first = '', second] = path;
  if (path.length > 2) return null;
  const [connectionTag, schema] = second === undefined ? [DEFAULT_CONNECTION_TAG, first] : [first, second];
  const wildcard = source.name.name.endsWith('%');
  const name = wildcard ? source.name.name.slice(0, -1) : source.name.name;
  return { connectionTag, schema, name, wildcard };
}

export function matchesTable(pattern: TablePattern, table: Omit<TableShape, 'columns'>): boolean {
  return (
    pattern.connectionTag === table.connectionTag &&
    pattern.schema === table.schema &&
    (pattern.wildcard ? table.name.startsWith(pattern.name) : table.name === pattern.name)
  );
}

/** Canonical text. */
export function patternText({ connectionTag, schema, name, wildcard }: TablePattern): string {
  return JSON.stringify([connectionTag, schema, name, wildcard]);
}

/** The known tables a pattern matches. Source schemas say nothing about connections. */
export function knownTables(pattern: TablePattern, schema: SourceSchema): SourceSchema['tables'] {
  const { connectionTag } = pattern;
  return schema.tables.filter((table) => matchesTable(pattern, { ...table, connectionTag }));
}
