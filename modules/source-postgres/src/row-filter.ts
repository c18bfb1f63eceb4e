/** The condition that a publication puts on the rows of a table: reads leave out what the stream leaves out. */

/** An SQL expression over `pg_class c`; null where there is no condition. Conditions came with Postgres 15. */
export function rowFilterSql(version: number, publicationParameter: string): string {
  if (version < 150_000) return `nullif(${publicationParameter}::text, ${publicationParameter}::text)`;
  return `(
    select pg_get_expr(r.prqual, r.prrelid) from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
    where p.pubname = ${publicationParameter} and r.prrelid = c.oid)`;
}
