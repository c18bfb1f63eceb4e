/** A small example database: people share to-do lists. `sync-rules.yaml` at the top of the repository fits it. */
import pg from 'pg';

export const EXAMPLE_DATABASE = 'example';
/** Whom the development token is for. */
export const EXAMPLE_USER = 'ann';

const SCHEMA = `
  CREATE TABLE users (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE lists (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    owner_id text NOT NULL REFERENCES users,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE list_members (
    list_id text NOT NULL REFERENCES lists ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users,
    PRIMARY KEY (list_id, user_id)
  );
  CREATE TABLE todos (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    list_id text NOT NULL REFERENCES lists ON DELETE CASCADE,
    description text NOT NULL,
    completed boolean NOT NULL DEFAULT false,
    due_on date
  );
  CREATE INDEX ON todos (list_id);
  CREATE PUBLICATION powersync FOR ALL TABLES;
`;

/** 20 users, 200 lists, about 600 memberships, 4,000 to-dos. */
const ROWS = `
  INSERT INTO users SELECT lower(name), name
    FROM unnest(ARRAY['Ann','Ben','Cleo','Dan','Eva','Finn','Gina','Hugo','Ida','Jan','Kim','Leo','Mia','Nils','Olga',
                      'Pia','Quinn','Rosa','Sam','Tara']) AS name;
  INSERT INTO lists (id, owner_id, name, created_at)
    SELECT 'list-' || n, (SELECT id FROM users ORDER BY id OFFSET n % 20 LIMIT 1),
           (ARRAY['Groceries','Errands','House','Garden','Trip','Books'])[n % 6 + 1] || ' ' || n,
           timestamptz '2026-01-01' + n * interval '1 hour'
    FROM generate_series(1, 200) AS n;
  INSERT INTO list_members SELECT id, owner_id FROM lists;
  INSERT INTO list_members
    SELECT lists.id, users.id FROM lists CROSS JOIN users
    WHERE (hashtext(lists.id || users.id) & 15) < 2 ON CONFLICT DO NOTHING;
  INSERT INTO todos (id, list_id, description, completed, due_on)
    SELECT 'todo-' || n, 'list-' || (n % 200 + 1), 'Thing to do ' || n, n % 3 = 0, date '2026-12-01' + n % 60
    FROM generate_series(1, 4000) AS n;
  ANALYZE;
`;

/**
 * Makes the example database, unless it is there.
 * @param uriOf address of a database of the server
 */
export async function createExampleDatabase(uriOf: (database: string) => string): Promise<void> {
  const exists = await withClient(uriOf('postgres'), async (client) => {
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [EXAMPLE_DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${EXAMPLE_DATABASE}`);
    return found.rowCount !== 0;
  });
  await withClient(uriOf(EXAMPLE_DATABASE), async (client) => {
    // A first start that was interrupted left the database without its tables.
    const filled =
      exists && (await client.query("SELECT FROM pg_publication WHERE pubname = 'powersync'")).rowCount !== 0;
    if (!filled) await client.query(`BEGIN; ${SCHEMA} ${ROWS} COMMIT;`);
  });
}

async function withClient<T>(uri: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: uri });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
