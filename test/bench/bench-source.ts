/** The table that benches copy, stream and serve: about 200 bytes a row, one definition, one bucket. */
import { type TestDatabase, type TestPostgres } from '../kit/postgres.ts';

export const BENCH_RULES = `bucket_definitions:
  everything:
    data:
      - SELECT * FROM items
`;

export type KeyKind = 'serial' | 'uuid';

/** Many tables instead of one, `items_1` and so on. */
export const MANY_TABLES_RULES = `bucket_definitions:
  everything:
    data:
      - SELECT * FROM "items_%"
`;

function tableSql(table: string, keyType: string): string {
  return `CREATE TABLE ${table} (id ${keyType} PRIMARY KEY, owner_id text, title text,
    body text, n int8, score float8, done bool, updated_at timestamptz)`;
}

function fillSql(table: string, id: string, rows: number): string {
  return `INSERT INTO ${table} SELECT ${id}, 'user-' || n % 1000, 'item number ' || n,
    repeat(md5(n::text), 3), n, n / 8.0, n % 2 = 0, timestamptz '2024-01-01' + n * interval '1 second'
    FROM generate_series(1, ${rows}) AS n`;
}

/** A database with `tables` tables that share `rows` rows. */
export async function manyTablesDatabase(
  postgres: TestPostgres,
  { rows, tables }: { readonly rows: number; readonly tables: number },
): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  const names = Array.from({ length: tables }, (_, index) => `items_${index + 1}`);
  for (const name of names) {
    await database.query(tableSql(name, 'int8'));
    await database.query(fillSql(name, 'n', Math.ceil(rows / tables)));
  }
  await database.query('VACUUM ANALYZE');
  await database.query(`CREATE PUBLICATION powersync FOR TABLE ${names.join(', ')}`);
  return database;
}

/** A database with `rows` rows in `items`, vacuumed, and the publication. */
export async function benchDatabase(postgres: TestPostgres, rows: number, key: KeyKind): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  const id = key === 'uuid' ? `md5(n::text)::uuid` : 'n';
  await database.query(tableSql('items', key === 'uuid' ? 'uuid' : 'int8'));
  await database.query(fillSql('items', id, rows));
  await database.query('VACUUM ANALYZE items');
  await database.query('CREATE PUBLICATION powersync FOR TABLE items');
  return database;
}
