/** Which physical tables a name in FROM stands for. */
import type { SourceSchema, TablePattern } from './api.ts';
import type { TableShape } from './table-shape.ts';
import type { TableSource } from './sql/ast.ts';

const DEFAULT_TAG = 'default';

/** @returns null for a schema name with more than one dot */
export function tablePatternOf(source: TableSource, defaultSchema: string): TablePattern | null {
  const [first = '', second, ...more] = source.schema === null ? [defaultSchema] : source.schema.name.split('.');
  if (more.length > 0) return null;
  const [connectionTag, schema] =
    source.schema === null || second === undefined ? [DEFAULT_TAG, first] : [first, second];
  const full = source.name.name;
  const wildcard = full.endsWith('%');
  return { connectionTag, schema, name: wildcard ? full.slice(0, -1) : full, wildcard };
}

export function matchesTable(
  pattern: TablePattern,
  table: Pick<TableShape, 'connectionTag' | 'schema' | 'name'>,
): boolean {
  return (
    pattern.connectionTag === table.connectionTag && pattern.schema === table.schema && matchesName(pattern, table.name)
  );
}

/** What a wildcard stands for in the name of a table that it matches. */
export function tableSuffix(pattern: TablePattern, tableName: string): string {
  return tableName.slice(pattern.name.length);
}

/** Tables of the source's schema that a pattern matches. The schema knows one connection. */
export function knownTables(pattern: TablePattern, schema: SourceSchema): SourceSchema['tables'] {
  if (pattern.connectionTag !== DEFAULT_TAG) return [];
  return schema.tables.filter((table) => pattern.schema === table.schema && matchesName(pattern, table.name));
}

/** Canonical text. */
export function tablePatternText({ connectionTag, schema, name, wildcard }: TablePattern): string {
  return JSON.stringify([connectionTag, schema, name, wildcard]);
}

function matchesName(pattern: TablePattern, name: string): boolean {
  return pattern.wildcard ? name.startsWith(pattern.name) : name === pattern.name;
}
