export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
  type StopKind,
} from './dev/embedded-postgres.ts';
