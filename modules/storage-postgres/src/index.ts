export type { PostgresStorageConfig, PostgresStorageTools } from './config.ts';
export { openPostgresStorage } from './storage.ts';
