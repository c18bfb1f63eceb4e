/**
 * The source that the big tests replicate: users, orgs and memberships, seven tables of data, and a ticker that numbers
 * the load's transactions. Between them they have text, integer, uuid and composite keys, every common type, values out
 * of line (TOAST), and one table with replica identity FULL.
 *
 * Every row is a function of an integer, so the load knows all keys without reading any.
 */
import type { Client } from 'pg';

export interface Population {
  readonly users: number;
  readonly orgs: number;
  readonly memberships: number;
  /** Rows of each data table. */
  readonly perTable: number;
}

export const DATA_TABLES = ['notes', 'tasks', 'projects', 'events', 'documents', 'readings', 'settings'] as const;
export type DataTable = (typeof DATA_TABLES)[number];

/** All tables that sync rules read. Each has a unique column `id`, which need not be its key. */
export const SYNCED_TABLES = ['users', 'orgs', 'memberships', ...DATA_TABLES, 'ticker'] as const;

const DDL = `
CREATE TABLE users (id text PRIMARY KEY, name text NOT NULL, email text, region text, created_at timestamptz NOT NULL);
CREATE TABLE orgs (id int8 PRIMARY KEY, name text NOT NULL, plan text);
CREATE TABLE memberships (id int8 PRIMARY KEY, user_id text NOT NULL, org_id int8 NOT NULL, role text NOT NULL);
CREATE TABLE notes (id uuid PRIMARY KEY, owner_id text, org_id int8, title text, body text, starred bool,
  updated_at timestamptz);
CREATE TABLE tasks (id int8 PRIMARY KEY, owner_id text, org_id int8, title text, status text NOT NULL, urgent bool,
  priority int2, due date, estimate numeric(10,2));
CREATE TABLE projects (id text PRIMARY KEY, org_id int8, name text, meta jsonb, budget numeric(14,2),
  started_at timestamp);
CREATE TABLE events (id int8 PRIMARY KEY, org_id int8, owner_id text, kind text, payload json, value float8,
  at timestamptz);
CREATE TABLE documents (id text PRIMARY KEY, org_id int8, owner_id text, title text, content text, revision int4);
ALTER TABLE documents ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE TABLE readings (seq int8, org_id int8, id text NOT NULL, value float8, at timestamp, PRIMARY KEY (seq, org_id));
CREATE TABLE settings (id text PRIMARY KEY, owner_id text, key text, value jsonb, flags text[]);
ALTER TABLE settings REPLICA IDENTITY FULL;
CREATE TABLE ticker (id text PRIMARY KEY, n int8 NOT NULL);
INSERT INTO ticker VALUES ('ticker', 0);`;

const PUBLICATION = `CREATE PUBLICATION powersync FOR TABLE ${SYNCED_TABLES.join(', ')}`;

/** Creates the tables and their publication in an empty database. */
export async function createSchema(source: Client): Promise<void> {
  await source.query(DDL);
  await source.query(PUBLICATION);
}

/** How `rows` rows are spread over the tables. */
function populationOf(rows: number): Population {
  const users = Math.max(20, Math.floor(rows / 1000));
  const orgs = Math.max(10, Math.floor(rows / 5000));
  const memberships = users * 3;
  return { users, orgs, memberships, perTable: Math.ceil((rows - users - orgs - memberships) / DATA_TABLES.length) };
}

/**
 * SQL of the values of row `n`, `n` being itself SQL: the same expressions seed a million rows and insert one later.
 * `h` stands for a hash of `n` in [0, 2^31).
 */
export function rowValues(table: DataTable, n: string, population: Population): Readonly<Record<string, string>> {
  const h = `(hashint8(${n}::int8 + 77) & 2147483647)`;
  const owner = `'u' || (${h} % ${population.users} + 1)`;
  const org = `(${h} / 7 % ${population.orgs} + 1)`;
  const filler = `repeat(md5((${n})::text), 2)`;
  const at = `(timestamp '2024-01-01' + (${h} % 20000000) * interval '1.25 seconds')`;
  const float = `((${h} % 100000)::numeric / 1000)::float8`;
  switch (table) {
    case 'notes':
      return {
        id: rowId('notes', n),
        owner_id: owner,
        org_id: org,
        title: `'note ' || ${n}`,
        body: `${filler} || ' "quoted" \\ ' || chr(233) || chr(10) || chr(128640)`,
        starred: `CASE ${h} % 5 WHEN 0 THEN true WHEN 1 THEN NULL ELSE false END`,
        updated_at: `${at} AT TIME ZONE 'UTC'`,
      };
    case 'tasks':
      return {
        id: rowId('tasks', n),
        owner_id: owner,
        org_id: org,
        title: `'task ' || ${filler}`,
        status: `CASE WHEN ${h} % 3 = 0 THEN 'done' ELSE 'open' END`,
        urgent: `${h} % 2 = 0`,
        priority: `${h} % 5`,
        due: `CASE WHEN ${h} % 11 = 0 THEN NULL ELSE ${at}::date END`,
        estimate: `(${h} % 100000)::numeric / 100`,
      };
    case 'projects':
      return {
        id: rowId('projects', n),
        org_id: org,
        name: `'project ' || ${filler}`,
        meta: `jsonb_build_object('n', ${n}, 'tags', jsonb_build_array('a', 'b ' || ${h} % 10), 'deep', jsonb_build_object('x', NULL))`,
        budget: `(${h})::numeric / 100`,
        started_at: at,
      };
    case 'events':
      return {
        id: rowId('events', n),
        org_id: org,
        owner_id: owner,
        kind: `'kind' || ${h} % 7`,
        payload: `('{"b" :  ' || ${h} || ', "a": [1,2.50,"x"], "text": "' || md5((${n})::text) || '"}')::json`,
        value: float,
        at: `${at} AT TIME ZONE 'UTC'`,
      };
    case 'documents':
      return {
        id: rowId('documents', n),
        org_id: org,
        owner_id: owner,
        title: `'document ' || ${n}`,
        content: `CASE WHEN ${h} % 50 = 0 THEN repeat(md5((${n})::text), 150) ELSE ${filler} END`,
        revision: `${h} % 9`,
      };
    case 'readings':
      return { seq: n, org_id: org, id: rowId('readings', n), value: float, at };
    case 'settings':
      return {
        id: rowId('settings', n),
        owner_id: owner,
        key: `'key ' || ${h} % 100`,
        value: `CASE WHEN ${h} % 13 = 0 THEN NULL ELSE jsonb_build_object('on', ${h} % 2 = 0, 'level', ${h} % 17) END`,
        flags: `ARRAY['f' || ${h} % 3, ${filler}, NULL, 'q"\\']`,
      };
  }
}

/** SQL of the `id` of row `n` of a table. */
export function rowId(table: DataTable, n: string): string {
  switch (table) {
    case 'notes':
      return `md5('notes' || ${n})::uuid`;
    case 'tasks':
    case 'events':
      return n;
    case 'projects':
      return `'p' || ${n}`;
    case 'documents':
      return `'d/' || ${n}`;
    case 'readings':
      return `'r' || ${n}`;
    case 'settings':
      return `'s:' || ${n}`;
  }
}

/** SQL that finds row `n` by an index. */
export function rowWhere(table: DataTable, n: number): string {
  return table === 'readings' ? `seq = ${n}` : `id = ${rowId(table, String(n))}`;
}

function insertRows(table: DataTable, from: number, to: number, population: Population): string {
  const values = rowValues(table, 'n', population);
  return `INSERT INTO ${table} (${Object.keys(values).join(', ')})
    SELECT ${Object.values(values).join(', ')} FROM generate_series(${from}::int8, ${to}) AS n`;
}

/** Fills the tables with about `rows` rows in all, and gathers statistics. */
export async function seedRows(source: Client, options: { readonly rows: number }): Promise<Population> {
  const population = populationOf(options.rows);
  const { users, orgs, memberships, perTable } = population;
  await source.query(`INSERT INTO users SELECT 'u' || n, 'User ' || n, CASE WHEN n % 4 = 0 THEN NULL ELSE 'u' || n || '@example.org' END,
    (ARRAY['eu', 'us', 'asia', NULL])[n % 4 + 1], timestamptz '2024-05-05 10:00:00.5+02' FROM generate_series(1, ${users}) AS n`);
  await source.query(`INSERT INTO orgs SELECT n, 'Org ' || n, CASE WHEN n % 3 = 0 THEN NULL ELSE 'plan' || n % 2 END
    FROM generate_series(1, ${orgs}) AS n`);
  await source.query(`INSERT INTO memberships SELECT n, 'u' || ((n - 1) % ${users} + 1), hashint8(n) & 2147483647, 'member'
    FROM generate_series(1, ${memberships}) AS n`);
  await source.query(`UPDATE memberships SET org_id = org_id % ${orgs} + 1`);
  await source.query(
    `INSERT INTO memberships SELECT ${memberships} + n, 'u3', n, 'admin' FROM generate_series(1, ${Math.min(10, orgs)}) AS n`,
  );
  for (const table of DATA_TABLES) await source.query(insertRows(table, 1, perTable, population));
  await source.query('ANALYZE');
  return population;
}
