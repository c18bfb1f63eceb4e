/**
 * Types of columns by OID, read from the catalogue. Built-in types never change: their names are read once a
 * connection and kept. Types of users do: they are read again with every relation that has them, all the types that
 * they are made of in one query.
 */
import type { ColumnType, CustomType } from '@sluice/core';
import type { Database } from './database.ts';
import type { UntypedColumn } from './decode.ts';

/** Parts below this depth are text. It bounds the tree, and ends it should the catalogue have a type inside itself. */
const DEPTH_MAX = 10;

/** The first OID that a server gives away after its own set-up. */
const FIRST_USER_OID = 16_384;

/** Not by category: `int2vector` has the category and the element of an array, and text of its own. */
const IS_ARRAY = "t.typtype = 'b' and t.typoutput = 'array_out'::regproc";

/** What type `t` is made of: the base of a domain, an element, the type of bounds, attributes. */
const PARTS = `lateral (
  select 1, '', t.typbasetype where t.typtype = 'd'
  union all
  select 1, '', t.typelem where ${IS_ARRAY}
  union all
  select 1, '', r.rngsubtype from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
  union all
  select a.attnum, a.attname, a.atttypid from pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) part (number, name, oid)`;

const TYPES_SQL = `
  with recursive reached (oid, depth) as (
    select unnest($1::oid[]), 1
    union
    select part.oid, w.depth + 1 from reached w join pg_type t on t.oid = w.oid, ${PARTS} where w.depth < ${DEPTH_MAX}
  )
  select json_build_object(
    'typeId', t.oid::int8, 'name', t.typname,
    'kind', case when ${IS_ARRAY} then 'array' else (json_build_object(
      'd', 'domain', 'e', 'enum', 'c', 'composite', 'r', 'range', 'm', 'multirange') ->> t.typtype::text) end,
    'delimiter', (select e.typdelim from pg_type e where e.oid = t.typelem),
    'parts', coalesce((
      select json_agg(json_build_object('name', part.name, 'typeId', part.oid::int8) order by part.number)
      from ${PARTS}), '[]'))
  from pg_type t where t.oid in (select oid from reached)`;

const BUILT_IN_SQL = `
  select t.oid, case when ${IS_ARRAY} then '_' || e.typname else t.typname end
  from pg_type t left join pg_type e on e.oid = t.typelem
  where t.oid < ${FIRST_USER_OID} and t.typtype in ('b', 'r', 'm', 'p')
    and (e.oid is null or e.typtype in ('b', 'r', 'm', 'p'))`;

/** One type as the catalogue describes it; JSON of the query above. */
interface CatalogueType {
  readonly typeId: number;
  readonly name: string;
  /** Null for what has no parts: base types and pseudo-types. */
  readonly kind: CustomType['kind'] | null;
  /** Between the elements of an array. */
  readonly delimiter: string | null;
  readonly parts: readonly { readonly name: string; readonly typeId: number }[];
}

export class ColumnTypes {
  /** Names of built-in types, once they are loaded; decoders read it without waiting. */
  readonly builtIn = new Map<number, string>();
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Built-in types cover nearly all columns; asking for them in advance keeps the stream from waiting. */
  async loadBuiltIn(): Promise<void> {
    if (this.builtIn.size > 0) return;
    for (const [oid, name] of await this.#database.rows(BUILT_IN_SQL)) this.builtIn.set(Number(oid), name ?? '');
  }

  /** Types as they are now, every one that was asked for. */
  async load(typeIds: Iterable<number>): Promise<ReadonlyMap<number, ColumnType>> {
    await this.loadBuiltIn();
    const wanted = [...new Set(typeIds)];
    const catalogue = await this.#read(wanted.filter((typeId) => !this.builtIn.has(typeId)));
    return new Map(wanted.map((typeId) => [typeId, this.#typeOf(typeId, { catalogue, depth: 1 })]));
  }

  async fillIn(columns: readonly UntypedColumn[]): Promise<void> {
    const types = await this.load(columns.map(({ typeId }) => typeId));
    for (const column of columns) Object.assign(column, types.get(column.typeId));
  }

  async #read(oids: readonly number[]): Promise<Catalogue> {
    if (oids.length === 0) return new Map();
    const rows = await this.#database.rows(TYPES_SQL, [`{${oids.join(',')}}`]);
    const types = rows.map(([json]) => JSON.parse(json ?? '') as CatalogueType);
    return new Map(types.map((type) => [type.typeId, type]));
  }

  /**
   * A domain goes by its own name, and what it is made of stands in the description: without the option for user-defined
   * types it is text, whatever its base, and who does not look at descriptions must not take it for its base either.
   */
  #typeOf(typeId: number, at: Place): ColumnType {
    const builtIn = this.builtIn.get(typeId);
    if (builtIn !== undefined) return { type: builtIn, typeId };
    const found = at.catalogue.get(typeId);
    // A type that is gone from the catalogue by now, or nested too deep: what remains of it is text.
    if (found === undefined || at.depth > DEPTH_MAX) return { type: 'text', typeId };
    const parts = found.parts.map((part) => this.#typeOf(part.typeId, { ...at, depth: at.depth + 1 }));
    const type = found.kind === 'array' ? `_${parts[0]?.type}` : found.name;
    const custom = describe(found, parts);
    return custom === null ? { type, typeId } : { type, typeId, custom };
  }
}

type Catalogue = ReadonlyMap<number, CatalogueType>;

interface Place {
  readonly catalogue: Catalogue;
  readonly depth: number;
}

/** Null for base types that an extension brings, and arrays of them: names tell all that is known of those. */
function describe(found: CatalogueType, parts: readonly ColumnType[]): CustomType | null {
  if (found.kind === 'enum') return { kind: 'enum' };
  if (found.kind === 'composite') {
    return { kind: 'composite', attributes: parts.map((part, i) => ({ name: found.parts[i]?.name ?? '', ...part })) };
  }
  const [part] = parts;
  if (found.kind === null || part === undefined) return null;
  switch (found.kind) {
    case 'domain':
      return { kind: 'domain', base: part };
    case 'range':
    case 'multirange':
      return { kind: found.kind, subtype: part };
    case 'array':
      if (part.custom === undefined) return null;
      return { kind: 'array', element: part, delimiter: found.delimiter ?? ',' };
  }
}
