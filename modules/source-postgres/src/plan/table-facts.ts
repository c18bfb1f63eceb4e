/** What the catalogue and its statistics know of one table, in one query; nothing is counted. */
import { type Relation, SluiceError } from '@sluice/core';
import type { Database } from '../database.ts';
import type { ColumnStatistics } from './key-cuts.ts';

export interface TableFacts {
  readonly file: string;
  /** Access method: only `heap` is known to have blocks that can be read by range. */
  readonly method: string;
  readonly blocks: number;
  /** With the large values that its rows keep elsewhere. */
  readonly bytes: number;
  readonly rows: number;
  /** Columns of the primary key, in its order; empty without one. */
  readonly key: readonly KeyColumn[];
}

export interface KeyColumn extends ColumnStatistics {
  readonly name: string;
  /** As SQL. */
  readonly type: string;
  /** As SQL; null for types without one. */
  readonly collation: string | null;
}

interface CatalogueFacts {
  readonly file: string | null;
  readonly method: string | null;
  readonly blockBytes: number;
  readonly bytes: number;
  readonly toastBytes: number;
  readonly tuples: number;
  readonly pages: number;
  readonly key: readonly KeyColumn[] | null;
}

const TEXTS = (column: string) => `coalesce(s.${column}::text::text[], '{}')`;

const FACTS_SQL = `
  select json_build_object('file', pg_relation_filenode(c.oid)::text, 'method', am.amname,
    'blockBytes', current_setting('block_size')::int, 'bytes', pg_relation_size(c.oid),
    'toastBytes', coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0), 'tuples', c.reltuples, 'pages', c.relpages,
    'key', (
      select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'collation', (
          select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
          from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation),
        'bounds', ${TEXTS('histogram_bounds')}, 'common', ${TEXTS('most_common_vals')},
        'frequencies', coalesce(s.most_common_freqs, '{}')) order by k.n)
      from pg_index i cross join lateral generate_series(0, i.indnkeyatts - 1) k (n)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[k.n]
        left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname and not s.inherited
      where i.indrelid = c.oid and i.indisprimary and i.indisvalid and i.indimmediate))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am am on am.oid = c.relam
  where c.oid = $1 and n.nspname = $2 and c.relname = $3`;

/** For tables that were never analysed. */
const ROW_BYTES_GUESS = 100;

/** @throws SLU_R1104 if the table is gone, or has another name by now: then it is another table to the rules */
export async function tableFacts(database: Database, relation: Relation): Promise<TableFacts> {
  const { schema, name, sourceId } = relation;
  const [row] = await database.rows(FACTS_SQL, [sourceId, schema, name]);
  if (row === undefined) throw new SluiceError('SLU_R1104', `${schema}.${name} does not exist any more`);
  const facts = JSON.parse(row[0] ?? '{}') as CatalogueFacts;
  const blocks = Math.ceil(facts.bytes / facts.blockBytes);
  const known = facts.tuples >= 0 && facts.pages > 0;
  const published = new Set(relation.columns.map((column) => column.name));
  const key = facts.key ?? [];
  return {
    file: facts.file ?? '',
    method: facts.method ?? '',
    blocks,
    bytes: facts.bytes + facts.toastBytes,
    rows: known ? (facts.tuples / facts.pages) * blocks : facts.bytes / ROW_BYTES_GUESS,
    // A key of which a part is not published cannot be read on from.
    key: key.every((column) => published.has(column.name)) ? key : [],
  };
}
