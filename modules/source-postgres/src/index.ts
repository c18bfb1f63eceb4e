export type { PostgresSourceConfig } from './config.ts';
export { createPostgresSource, type SourceTools } from './source.ts';
