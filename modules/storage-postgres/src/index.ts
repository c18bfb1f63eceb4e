export { beginEpoch, migratePostgresStorage, type NewEpoch } from './administer.ts';
export type { PostgresStorageConfig, PostgresStorageTools } from './config.ts';
export { openPostgresStorage } from './storage.ts';
