/**
 * The source's past. While a load runs, triggers write the before-image of every change, with the number of the load's
 * transaction, into an unlogged table (which logical decoding never sees). Undoing what came after transaction N gives
 * the source exactly as it was at N, however far it has moved on.
 *
 * N needs no clock and no WAL position: every transaction of the load also sets `ticker.n`, which is synced. So each
 * checkpoint that a client holds says by itself which source state it must equal.
 */
import type { Client } from 'pg';
import { SYNCED_TABLES } from './schema.ts';

/** Custom setting that carries a load transaction's number to the triggers. */
export const TRANSACTION_SETTING = 'load.n';

export async function recordHistory(source: Client): Promise<void> {
  await source.query(`
    CREATE UNLOGGED TABLE history (
      seq int8 GENERATED ALWAYS AS IDENTITY, n int8 NOT NULL, tbl text NOT NULL, id text NOT NULL, before text);
    CREATE FUNCTION record_history() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE n int8 := current_setting('${TRANSACTION_SETTING}');
    BEGIN
      IF TG_OP <> 'INSERT' THEN
        INSERT INTO history (n, tbl, id, before) VALUES (n, TG_TABLE_NAME, OLD.id::text, OLD::text);
      END IF;
      IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND OLD.id <> NEW.id) THEN
        INSERT INTO history (n, tbl, id) VALUES (n, TG_TABLE_NAME, NEW.id::text);
      END IF;
      RETURN NULL;
    END $$;
    CREATE FUNCTION record_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      EXECUTE format('INSERT INTO history (n, tbl, id, before) SELECT $1, %L, t.id::text, t::text FROM %I AS t',
        TG_TABLE_NAME, TG_TABLE_NAME) USING current_setting('${TRANSACTION_SETTING}')::int8;
      RETURN NULL;
    END $$;`);
  for (const table of SYNCED_TABLES) {
    await source.query(`CREATE TRIGGER history AFTER INSERT OR UPDATE OR DELETE ON ${table}
      FOR EACH ROW EXECUTE FUNCTION record_history()`);
    await source.query(`CREATE TRIGGER history_truncate BEFORE TRUNCATE ON ${table}
      FOR EACH STATEMENT EXECUTE FUNCTION record_truncate()`);
  }
}

/**
 * Runs `read` on one connection where the tables' bare names mean the source as of load transaction `n`, or as of now
 * for null, all in one snapshot.
 */
export async function asOf<T>(connection: Client, n: bigint | null, read: () => Promise<T>): Promise<T> {
  await connection.query(
    `BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'`,
  );
  try {
    if (n !== null) await undoAfter(connection, n);
    return await read();
  } finally {
    await connection.query('ROLLBACK');
  }
}

async function undoAfter(connection: Client, n: bigint): Promise<void> {
  await connection.query(`
    CREATE TEMP TABLE undone ON COMMIT DROP AS
      SELECT DISTINCT ON (tbl, id) tbl, id, before FROM public.history WHERE n > ${n} ORDER BY tbl, id, seq;
    CREATE INDEX ON undone (tbl, id);
    ANALYZE undone;`);
  for (const table of SYNCED_TABLES) {
    // Temporary names are found before those of the schema public.
    await connection.query(`CREATE TEMP VIEW ${table} AS
      SELECT t.* FROM public.${table} AS t
        WHERE NOT EXISTS (SELECT 1 FROM undone u WHERE u.tbl = '${table}' AND u.id = t.id::text)
      UNION ALL
      SELECT (u.before::public.${table}).* FROM undone u WHERE u.tbl = '${table}' AND u.before IS NOT NULL`);
  }
}
