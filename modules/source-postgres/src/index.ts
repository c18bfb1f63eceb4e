export type { PostgresSourceConfig } from './config.ts';
export { type DatabaseSchema, readSchema } from './schema.ts';
export { createPostgresSource, type SourceTools } from './source.ts';
