/** Names of types by OID, read from the catalogue once a connection and kept. */
import type { Database } from './database.ts';
import type { UnnamedColumn } from './decode.ts';

/** A domain goes by the name of what it is made of, and so does an array of domains. */
const NAMES_SQL = `
  with recursive base (oid, target) as (
    select t.oid, t.oid from pg_type t where t.oid = any($1::oid[])
    union all
    select b.oid, t.typbasetype from base b join pg_type t on t.oid = b.target where t.typtype = 'd'
  ), element (oid, array_oid) as (
    select t.typelem, t.oid from pg_type t where t.oid = any($1::oid[]) and t.typcategory = 'A' and t.typelem <> 0
  ), element_base (array_oid, target) as (
    select e.array_oid, e.oid from element e
    union all
    select b.array_oid, t.typbasetype from element_base b join pg_type t on t.oid = b.target where t.typtype = 'd'
  )
  select b.oid, t.typname from base b join pg_type t on t.oid = b.target
    where t.typtype <> 'd' and not exists (select from element e where e.array_oid = b.oid)
  union all
  select b.array_oid, '_' || t.typname from element_base b join pg_type t on t.oid = b.target where t.typtype <> 'd'`;

export class TypeNames {
  /** What is known now; decoders read it without waiting. */
  readonly known = new Map<number, string>();
  readonly #database: Database;
  #preloaded = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Built-in types cover nearly all columns; asking for them in advance keeps the stream from waiting. */
  async preload(): Promise<void> {
    if (this.#preloaded) return;
    const rows = await this.#database.rows('select oid from pg_type where oid < 16384 and typrelid = 0');
    await this.load(rows.map(([oid]) => Number(oid)));
    this.#preloaded = true;
  }

  async load(oids: readonly number[]): Promise<void> {
    const missing = oids.filter((oid) => !this.known.has(oid));
    if (missing.length === 0) return;
    const rows = await this.#database.rows(NAMES_SQL, [`{${missing.join(',')}}`]);
    for (const [oid, name] of rows) this.known.set(Number(oid), name ?? '');
    // A type that is gone from the catalogue by now: what remains of it is text.
    for (const oid of missing) if (!this.known.has(oid)) this.known.set(oid, 'text');
  }

  async name(columns: readonly UnnamedColumn[]): Promise<void> {
    await this.load(columns.map((column) => column.typeId));
    for (const column of columns) column.type = this.known.get(column.typeId) ?? 'text';
  }
}
