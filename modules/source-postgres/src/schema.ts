/**
 * Tables and columns of a database, for checking rules against it. Needs no more than the right to connect: no slot, no
 * publication.
 */
import type { ColumnType, Logger } from '@sluice/core';
import { ColumnTypes } from './column-types.ts';
import { type PostgresSourceConfig, resolveSettings } from './config.ts';
import { Database } from './database.ts';

export interface DatabaseSchema {
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    /** Types by the names of the catalogue: `int4`, `_text`; a domain by that of its base type. */
    readonly columns: readonly { readonly name: string; readonly type: string }[];
  }[];
}

interface CatalogueTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly typeId: number }[];
}

const TABLES_SQL = `
  select json_build_object('schema', n.nspname, 'name', c.relname, 'columns', coalesce((
    select json_agg(json_build_object('name', a.attname, 'typeId', a.atttypid::int8) order by a.attnum)
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and n.nspname <> 'information_schema' and not starts_with(n.nspname, 'pg_')
  order by n.nspname, c.relname`;

/** @throws SluiceError for a configuration that is wrong, and for a server that does not answer or refuses us */
export async function readSchema(config: PostgresSourceConfig, logger: Logger): Promise<DatabaseSchema> {
  const database = new Database(resolveSettings(config), logger);
  try {
    const rows = await database.rows(TABLES_SQL);
    const tables = rows.map(([json]) => JSON.parse(json ?? '{}') as CatalogueTable);
    const typeIds = tables.flatMap(({ columns }) => columns.map(({ typeId }) => typeId));
    const types = await new ColumnTypes(database).load(typeIds);
    return {
      tables: tables.map(({ schema, name, columns }) => ({
        schema,
        name,
        columns: columns.map((column) => ({ name: column.name, type: baseName(types.get(column.typeId)) })),
      })),
    };
  } finally {
    await database.close();
  }
}

function baseName(column: ColumnType | undefined): string {
  if (column?.custom?.kind === 'domain') return baseName(column.custom.base);
  if (column?.custom?.kind === 'array') return `_${baseName(column.custom.element)}`;
  return column?.type ?? 'text';
}
