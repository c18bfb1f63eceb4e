/** The table that benches copy, stream and serve: about 200 bytes a row, one definition, one bucket. */
import { type TestDatabase, type TestPostgres } from '../kit/postgres.ts';

export const BENCH_RULES = `bucket_definitions:
  everything:
    data:
      - SELECT * FROM items
`;

export type KeyKind = 'serial' | 'uuid';

/** A database with `rows` rows in `items`, vacuumed, and the publication. */
export async function benchDatabase(postgres: TestPostgres, rows: number, key: KeyKind): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  const id = key === 'uuid' ? `md5(n::text)::uuid` : 'n';
  await database.query(`CREATE TABLE items (id ${key === 'uuid' ? 'uuid' : 'int8'} PRIMARY KEY, owner_id text, title text,
    body text, n int8, score float8, done bool, updated_at timestamptz)`);
  await database.query(`INSERT INTO items SELECT ${id}, 'user-' || n % 1000, 'item number ' || n,
    repeat(md5(n::text), 3), n, n / 8.0, n % 2 = 0, timestamptz '2024-01-01' + n * interval '1 second'
    FROM generate_series(1, ${rows}) AS n`);
  await database.query('VACUUM ANALYZE items');
  await database.query('CREATE PUBLICATION powersync FOR TABLE items');
  return database;
}
