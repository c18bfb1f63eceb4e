/**
 * What one role asked of the source, word for word: the server's own statement log. It proves which blocks of which
 * table were read, whoever reports what.
 */
import type { Client } from 'pg';

/** Server settings that a test Postgres must be started with. */
export const STATEMENT_LOG_SETTINGS = {
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'statements.log',
  log_rotation_age: '0',
  log_rotation_size: '0',
  log_line_prefix: '%m [%p] %u@%d ',
} as const;

export const LOGGED_ROLE = 'logged';

/** A superuser whose statements are logged. @returns the URI of the database for that role */
export async function createLoggedRole(connection: Client, uri: string): Promise<string> {
  await connection.query(`
    CREATE ROLE ${LOGGED_ROLE} LOGIN SUPERUSER REPLICATION PASSWORD '${LOGGED_ROLE}';
    ALTER ROLE ${LOGGED_ROLE} SET log_statement = 'all';`);
  const url = new URL(uri);
  url.username = LOGGED_ROLE;
  url.password = LOGGED_ROLE;
  return url.href;
}

/** A read of blocks [from, to) of a table; `to` is infinite for a range that is open at its end. */
export interface BlockRead {
  readonly table: string;
  readonly from: number;
  readonly to: number;
}

/** Everything logged so far, in characters: a mark to read on from. */
export async function logLength(connection: Client): Promise<number> {
  const result = await connection.query<{ size: string }>(`SELECT size FROM pg_stat_file('log/statements.log')`);
  return Number(result.rows[0]?.size ?? 0);
}

const COPY = /COPY \(\s*SELECT [^]*? FROM (?:ONLY )?"?(\w+)"?\."?(\w+)"?[^]*?\) TO STDOUT/gi;
const FROM_BLOCK = /ctid >= '\((\d+),0\)'/i;
const TO_BLOCK = /ctid < '\((\d+),0\)'/i;

/** The copy statements logged since the mark. */
export async function blockReadsSince(connection: Client, mark: number): Promise<readonly BlockRead[]> {
  const result = await connection.query<{ text: string }>(
    `SELECT pg_read_file('log/statements.log', $1, 1000000000) AS text`,
    [mark],
  );
  return [...(result.rows[0]?.text ?? '').matchAll(COPY)].map((match) => ({
    table: match[2] ?? '',
    from: Number(FROM_BLOCK.exec(match[0])?.[1] ?? 0),
    to: Number(TO_BLOCK.exec(match[0])?.[1] ?? Number.POSITIVE_INFINITY),
  }));
}
