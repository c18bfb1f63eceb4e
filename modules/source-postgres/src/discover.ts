/** Finds the tables that selectors match, all of them in one catalogue query, and tells which cannot be replicated. */
import type { Column, ColumnType, ErrorCode, Relation, ReplicaIdentity } from '@sluice/core';
import type { DiscoveredTable, TableSelector } from '@sluice/replication';
import type { ColumnTypes } from './column-types.ts';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { qualifiedName, quoteName } from './quote.ts';

/** One table as the catalogue describes it; JSON of the query below. */
interface CatalogueTable {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  /** `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: string;
  readonly identity: string;
  readonly rows: number;
  readonly pages: number;
  readonly bytes: number;
  readonly toastBytes: number;
  /** Why it is published, and how much of it; null if it is not. */
  readonly published: string | null;
  readonly schemaUsable: boolean;
  /** Columns that every table has: rights on each of its own columns are not rights on them. */
  readonly systemReadable: boolean;
  readonly rowSecurity: boolean;
  /** Attribute numbers in key order. */
  readonly primaryKey: readonly number[] | null;
  readonly identityIndex: readonly number[] | null;
  readonly columns: readonly CatalogueColumn[];
}

interface CatalogueColumn {
  readonly number: number;
  readonly name: string;
  readonly typeId: number;
  readonly modifier: number;
  readonly readable: boolean;
}

/** Numbers of the system columns that a copy reads. Views do not have them by name. */
const [CTID, TABLEOID] = [-1, -6];
const BLOCK_BYTES = 8192;
/** For tables that were never analysed. */
const ROW_BYTES_GUESS = 100;

/**
 * What the publication sends of each table: from Postgres 15 on it may name columns, and the server tells which; from 18
 * on those may be generated ones.
 */
function publishedColumns(version: number): { lateral: string; condition: string } {
  if (version < 150_000) {
    return {
      lateral: '(select relid, null::int2vector as attrs from pg_get_publication_tables($4))',
      condition: "a.attgenerated = ''",
    };
  }
  const generated = version < 180_000 ? "a.attgenerated = '' and " : '';
  return {
    lateral: '(select relid, attrs from pg_get_publication_tables($4))',
    condition: `${generated}case when p.attrs is null then a.attgenerated = '' else a.attnum = any(p.attrs) end`,
  };
}

/**
 * The publication, and each of the reasons why it has the table, with row filters. A table that was taken out and put back
 * has other words than before: its changes of in between are lost.
 */
function membershipSql(version: number): string {
  const modern = version >= 150_000;
  const filter = modern ? "coalesce(' where ' || pg_get_expr(r.prqual, r.prrelid), '')" : "''";
  const schemas = modern
    ? "union all select 'schema ' || s.oid from pg_publication_namespace s where s.pnpubid = m.oid and s.pnnspid = c.relnamespace"
    : '';
  return `(
    select concat_ws(' ', m.oid, m.puballtables, m.pubinsert, m.pubupdate, m.pubdelete, m.pubtruncate, m.pubviaroot, (
      select string_agg(reason, ', ' order by reason) from (
        select 'table ' || r.oid || ${filter} from pg_publication_rel r
          where r.prpubid = m.oid and (r.prrelid = c.oid or r.prrelid in (select relid from pg_partition_ancestors(c.oid)))
        ${schemas}) each (reason)))
    from pg_publication m where m.pubname = $4 and p.relid is not null)`;
}

function catalogueSql(version: number): string {
  const { lateral, condition } = publishedColumns(version);
  const keyOf = (which: string) => `(
      select json_agg(i.indkey[n] order by n) from pg_index i, generate_series(0, i.indnkeyatts - 1) n
      where i.indrelid = c.oid and ${which} and i.indisvalid and i.indimmediate)`;
  return `
  with wanted (schema, name, wildcard) as (select * from unnest($1::text[], $2::text[], $3::bool[])),
    published as materialized ${lateral}
  select json_build_object(
    'oid', c.oid::text, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence, 'identity', c.relreplident,
    'rows', c.reltuples, 'pages', c.relpages,
    'bytes', coalesce(pg_relation_size(c.oid), 0),
    'toastBytes', coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0),
    'published', ${membershipSql(version)},
    'schemaUsable', has_schema_privilege(n.oid, 'USAGE'),
    'systemReadable', has_column_privilege(c.oid, ${CTID}::int2, 'SELECT') and has_column_privilege(c.oid, ${TABLEOID}::int2, 'SELECT'),
    'rowSecurity', row_security_active(c.oid),
    'primaryKey', ${keyOf('i.indisprimary')}, 'identityIndex', ${keyOf('i.indisreplident')},
    'columns', coalesce((
      select json_agg(json_build_object('number', a.attnum, 'name', a.attname, 'typeId', a.atttypid::int8,
        'modifier', a.atttypmod, 'readable', has_column_privilege(c.oid, a.attnum, 'SELECT')) order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and ${condition}), '[]'))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join published p on p.relid = c.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and exists (
    select from wanted w where w.schema = n.nspname
      and case when w.wildcard then starts_with(c.relname, w.name) else c.relname = w.name end)
  order by n.nspname, c.relname`;
}

export interface DiscoverContext {
  readonly database: Database;
  readonly settings: SourceSettings;
  readonly columnTypes: ColumnTypes;
}

export async function discoverTables(
  context: DiscoverContext,
  selectors: readonly TableSelector[],
): Promise<readonly DiscoveredTable[]> {
  const { database, settings, columnTypes } = context;
  const ours = selectors.filter((selector) => selector.connectionTag === settings.tag);
  if (ours.length === 0) return [];
  const rows = await database.rows(catalogueSql(await database.serverVersion()), [
    ours.map((selector) => selector.schema),
    ours.map((selector) => selector.name),
    ours.map((selector) => selector.wildcard),
    settings.publication,
  ]);
  const tables = rows.map(([json]) => JSON.parse(json ?? '{}') as CatalogueTable);
  const types = await columnTypes.load(tables.flatMap((table) => table.columns.map((column) => column.typeId)));
  // A wildcard matches what can be replicated; what is named by itself is reported when it cannot.
  const named = new Set(ours.filter((selector) => !selector.wildcard).map(({ schema, name }) => `${schema}.${name}`));
  return tables
    .filter((table) => table.kind === 'r' || named.has(`${table.schema}.${table.name}`))
    .map((table) => describeTable(table, settings, types));
}

function describeTable(
  table: CatalogueTable,
  settings: SourceSettings,
  types: ReadonlyMap<number, ColumnType>,
): DiscoveredTable {
  const identity = identityOf(table.identity);
  const identityNumbers = identityColumns(table, identity);
  const columns: Column[] = table.columns.map((column) => ({
    name: column.name,
    ...(types.get(column.typeId) ?? { type: 'text', typeId: column.typeId }),
    typeModifier: column.modifier,
    number: column.number,
    key: identityNumbers.includes(column.number),
  }));
  const relation: Relation = {
    sourceId: table.oid,
    connectionTag: settings.tag,
    schema: table.schema,
    name: table.name,
    replicaIdentity: identity,
    columns,
  };
  // Under FULL the server would send any key; the primary key keeps an update one op and survives new columns.
  const keyNumbers = identity === 'full' ? (table.primaryKey ?? identityNumbers) : identityNumbers;
  const keyColumns = keyNumbers.map((number) => table.columns.findIndex((column) => column.number === number));
  return {
    relation,
    keyColumns,
    published: table.published ?? '',
    rowsEstimate: estimateRows(table),
    bytesEstimate: table.bytes + table.toastBytes,
    problem: problemOf(table, keyColumns, settings),
  };
}

function identityOf(letter: string): ReplicaIdentity {
  if (letter === 'f') return 'full';
  if (letter === 'i') return 'index';
  return letter === 'n' ? 'nothing' : 'default';
}

/** What the server marks as key columns in the stream. */
function identityColumns(table: CatalogueTable, identity: ReplicaIdentity): readonly number[] {
  switch (identity) {
    case 'full':
      return table.columns.map((column) => column.number);
    case 'index':
      return table.identityIndex ?? [];
    case 'default':
      return table.primaryKey ?? [];
    case 'nothing':
      return [];
  }
}

function estimateRows(table: CatalogueTable): number {
  const pages = table.bytes / BLOCK_BYTES;
  if (table.rows >= 0 && table.pages > 0) return Math.round((table.rows / table.pages) * pages);
  return Math.round(table.bytes / ROW_BYTES_GUESS);
}

type Problem = DiscoveredTable['problem'] & { readonly code: ErrorCode };

function problemOf(table: CatalogueTable, keyColumns: readonly number[], settings: SourceSettings): Problem | null {
  const name = qualifiedName(table);
  const role = quoteName(settings.client.user ?? '');
  if (table.kind !== 'r') {
    return {
      code: 'SLU_S1152',
      message: `${name} is ${KINDS[table.kind] ?? 'not a table'}: it has no changes of its own`,
      kind: 'unpublished',
    };
  }
  if (table.persistence !== 'p') {
    const message = `${name} is unlogged or temporary: ALTER TABLE ${name} SET LOGGED;`;
    return { code: 'SLU_S1152', message, kind: 'unpublished' };
  }
  if (table.published === null) {
    const remedy = `ALTER PUBLICATION ${quoteName(settings.publication)} ADD TABLE ${name};`;
    const message = `${name} is not in publication ${settings.publication}: ${remedy}`;
    return { code: 'SLU_S1153', message, kind: 'unpublished' };
  }
  if (!table.schemaUsable) {
    const remedy = `GRANT USAGE ON SCHEMA ${quoteName(table.schema)} TO ${role};`;
    return { code: 'SLU_S1125', message: `schema ${table.schema} may not be used: ${remedy}`, kind: 'unreadable' };
  }
  if (!table.columns.every((column) => column.readable)) {
    const message = `${name} may not be read: GRANT SELECT ON ${name} TO ${role};`;
    return { code: 'SLU_S1125', message, kind: 'unreadable' };
  }
  if (!table.systemReadable) {
    const remedy = `GRANT SELECT (ctid, tableoid) ON ${name} TO ${role};`;
    const message = `${name} may be read only by its own columns, which a copy cannot do: ${remedy}`;
    return { code: 'SLU_S1125', message, kind: 'unreadable' };
  }
  if (table.rowSecurity) {
    const message = `row-level security hides rows of ${name}: ALTER ROLE ${role} BYPASSRLS;`;
    return { code: 'PSYNC_S1145', message, kind: 'unreadable' };
  }
  if (keyColumns.length === 0 || keyColumns.includes(-1)) {
    const why = keyColumns.length === 0 ? 'has no replica identity' : 'does not publish all columns of its key';
    const remedy = `add a primary key, or ALTER TABLE ${name} REPLICA IDENTITY FULL;`;
    return { code: 'SLU_S1148', message: `${name} ${why}: ${remedy}`, kind: 'unidentified' };
  }
  return null;
}

const KINDS: Readonly<Record<string, string>> = {
  p: 'a partitioned table; name its partitions, for example with a wildcard',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
};
