/** Qualified names of the storage's tables, ready for SQL text. */
import { SluiceError, type StreamId } from '@sluice/core';
import { type PostgresStorageConfig, SCHEMA_DEFAULT } from './config.ts';

/** One of each per stream, made like the template of the same name, so that a stream is dropped in an instant. */
export const STREAM_TABLES = ['buckets', 'ops', 'records', 'lookups', 'changes'] as const;
export type StreamTable = (typeof STREAM_TABLES)[number];

export class Names {
  readonly schema: string;
  readonly streams: string;
  readonly states: string;
  readonly tables: string;
  readonly tasks: string;
  readonly copyWriters: string;
  readonly writeCheckpoints: string;
  readonly about: string;
  readonly migrations: string;
  /** The channel that wakes readers. */
  readonly channel: string;

  constructor(schema: string) {
    this.schema = schema;
    this.streams = this.table('streams');
    this.states = this.table('stream_states');
    this.tables = this.table('source_tables');
    this.tasks = this.table('snapshot_tasks');
    this.copyWriters = this.table('copy_writers');
    this.writeCheckpoints = this.table('write_checkpoints');
    this.about = this.table('about');
    this.migrations = this.table('migrations');
    this.channel = `${schema}.woken`;
  }

  table(name: string): string {
    return `${quoted(this.schema)}.${quoted(name)}`;
  }

  template(table: StreamTable): string {
    return this.table(`template_${table}`);
  }

  /** The tables of one stream. */
  of(stream: StreamId): Readonly<Record<StreamTable, string>> {
    const named = STREAM_TABLES.map((table) => [table, this.table(`${table}_${stream}`)]);
    return Object.fromEntries(named) as Record<StreamTable, string>;
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function namesOf(config: PostgresStorageConfig): Names {
  const schema = config.schema ?? SCHEMA_DEFAULT;
  if (/^[a-z_][a-z0-9_]{0,47}$/.test(schema) && !schema.startsWith('pg_')) return new Names(schema);
  throw new SluiceError('SLU_T1210', `storage: ${schema} is not a schema name: use lower-case letters, digits and _`);
}
