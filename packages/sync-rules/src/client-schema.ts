/** The tables that clients get: what the queries of a document put out, by output table, over all queries together. */
import type { Diagnostic, ParseOptions, SourceSchema } from './api.ts';
import type { Definition } from './definition.ts';
import { type OutputType, type TypedOutput, widerType } from './expression/output-types.ts';
import { compileDocument } from './parse.ts';
import type { SyncedQuery } from './synced-query.ts';
import { knownTables } from './table-pattern.ts';

export interface ClientSchema {
  /** Sorted by name. */
  readonly tables: readonly ClientTable[];
}

export interface ClientTable {
  readonly name: string;
  /** Without `id`, which every client table has. In the order of the queries. */
  readonly columns: readonly ClientColumn[];
  /** False if a query takes all columns of a table that the source's schema does not have, or none was given. */
  readonly complete: boolean;
}

export interface ClientColumn {
  readonly name: string;
  readonly type: 'text' | 'integer' | 'real';
}

export interface ClientSchemaResult {
  readonly diagnostics: readonly Diagnostic[];
  /** Null if there is at least one fatal diagnostic. */
  readonly schema: ClientSchema | null;
}

/** Throws nothing for what the text says. Columns of unknown tables are text, for that is what holds everything. */
export function clientSchema(text: string, options: ParseOptions): ClientSchemaResult {
  const { diagnostics, definitions, usable } = compileDocument(text, options);
  return { diagnostics, schema: usable ? schemaOf(definitions, options.schema ?? { tables: [] }) : null };
}

interface TableInWork {
  readonly columns: Map<string, OutputType>;
  complete: boolean;
}

function schemaOf(definitions: readonly Definition[], source: SourceSchema): ClientSchema {
  const tables = new Map<string, TableInWork>();
  for (const query of definitions.flatMap(({ synced }) => synced)) {
    const known = knownTables(query.pattern, source);
    for (const { name, columns } of known) add(tables, query, { name, columns: columns.map(typedColumn) });
    // The tables of a wildcard have names of their own: without the source, nobody knows them.
    const hasName = query.outputTable !== null || !query.pattern.wildcard;
    if (known.length === 0 && hasName) add(tables, query, { name: query.pattern.name, columns: null });
  }
  const found = [...tables].map(([name, { columns, complete }]) => ({
    name,
    columns: clientColumns(columns),
    complete,
  }));
  return { tables: found.sort((left, right) => (left.name < right.name ? -1 : 1)) };
}

function add(
  tables: Map<string, TableInWork>,
  query: SyncedQuery,
  from: { readonly name: string; readonly columns: readonly TypedOutput[] | null },
): void {
  const name = query.outputTable ?? from.name;
  const table = tables.get(name) ?? { columns: new Map<string, OutputType>(), complete: true };
  tables.set(name, table);
  if (from.columns === null && query.hasStar) table.complete = false;
  for (const output of query.outputs(from.columns ?? [])) {
    const before = table.columns.get(output.name);
    table.columns.set(output.name, before === undefined ? output.type : widerType(before, output.type));
  }
}

/** A value that is always null may have any type; a blob is never synced. */
function clientColumns(columns: ReadonlyMap<string, OutputType>): ClientColumn[] {
  return [...columns].flatMap(([name, type]) => {
    if (name === 'id' || type === 'blob') return [];
    return [{ name, type: type === 'null' ? 'text' : type }];
  });
}

function typedColumn({ name, type }: { readonly name: string; readonly type: string }): TypedOutput {
  return { name, type: sourceTypes.get(type.toLowerCase()) ?? 'text' };
}

/** By the names of Postgres and of SQLite; every other type arrives as text. */
const sourceTypes: ReadonlyMap<string, OutputType> = new Map([
  ...typesOf('integer', 'integer int int2 int4 int8 smallint bigint serial bigserial oid bool boolean'),
  ...typesOf('real', 'real float float4 float8 double'),
  ...typesOf('blob', 'blob bytea'),
  ['double precision', 'real'] as const,
]);

function typesOf(type: OutputType, names: string): [string, OutputType][] {
  return names.split(' ').map((name) => [name, type]);
}
