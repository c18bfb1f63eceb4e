/** What one query syncs, before any row: for the schema of clients. */
import type { TablePattern } from './api.ts';
import type { TypedOutput } from './expression/output-types.ts';

export interface SyncedQuery {
  readonly pattern: TablePattern;
  /** Null: the name of the source table. */
  readonly outputTable: string | null;
  readonly hasStar: boolean;
  /** @param columns of the source table; empty if they are not known */
  outputs(columns: readonly TypedOutput[]): readonly TypedOutput[];
}
