import pg from 'pg';
import { type PostgresMajor } from './postgres-versions.ts';
import { type StopKind } from '../../service/src/dev/embedded-postgres.ts';
export interface StartPostgresOptions {
  /** Server settings above the kit's (`max_slot_wal_keep_size: '1MB'`, …). */
  readonly settings?: Readonly<Record<string, string>>;
  /** With fsync and synchronous commit, for benches whose figures are to be believed. Default false. */
  readonly durable?: boolean;
  /** Default what the environment says, or the version that comes with the repository. */
  readonly major?: PostgresMajor;
}
export interface TestDatabase {
  readonly name: string;
  readonly uri: string;
  /** Runs statements on a pooled superuser connection; values come back as text, except booleans, int4 and json. */
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>;
  /** A connection of its own, for open transactions and locks; the caller ends it. */
  connect(): Promise<pg.Client>;
}
export interface TestPostgres {
  readonly port: number;
  /** The database `postgres` over TCP, as superuser. */
  readonly uri: string;
  readonly password: string;
  /** Host for the unix socket of the server. */
  readonly socketDirectory: string;
  /** @param options.template a database that nobody is connected to */
  createDatabase(
    name?: string,
    options?: {
      readonly template?: string;
    },
  ): Promise<TestDatabase>;
  /** Ends the server and removes its directory; after `kill` it can be started again, and is removed by a second stop. */
  stop(kind?: StopKind): Promise<void>;
  /** Stops (default `fast`) and starts on the same port; connections break, data stays. */
  restart(kind?: StopKind): Promise<void>;
}
export declare function startPostgres(options?: StartPostgresOptions): Promise<TestPostgres>;
/** Undefined: those that come with the repository. */
export declare function programsFor(major: PostgresMajor | null): Promise<string | undefined>;
//# sourceMappingURL=postgres.d.ts.map
