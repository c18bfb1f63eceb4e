/** The tables of one stream: made like their templates, dropped at once. */
import type { StreamId } from '@sluice/core';
import { type Names, STREAM_TABLES } from './names.ts';
import type { Sql } from './sql.ts';

/** Inside the transaction that makes the stream. */
export async function createStreamTables(sql: Sql, names: Names, stream: StreamId): Promise<void> {
  const own = names.of(stream);
  for (const table of STREAM_TABLES) {
    const template = names.template(table);
    await sql.run(`create table ${own[table]} (like ${template} including all)`);
    // `like` brings everything along but this.
    const [options] = await sql.rows<{ options: string | null }>(
      `select array_to_string(reloptions, ', ') as options from pg_class where oid = $1::regclass`,
      [template],
    );
    const text = options?.options ?? null;
    if (text !== null) await sql.run(`alter table ${own[table]} set (${text})`);
  }
}

export async function dropStreamTables(sql: Sql, names: Names, stream: StreamId): Promise<void> {
  const own = names.of(stream);
  await sql.run(`drop table if exists ${STREAM_TABLES.map((table) => own[table]).join(', ')}`);
}
