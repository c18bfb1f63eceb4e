/** Statements on one connection, with values as this module uses them: int8 as number, bytea as Buffer, the rest as text. */
import { CopyIn, type CopyRows } from './copy-in.ts';
import type { ClientBase, CustomTypesConfig, QueryResult, QueryResultRow } from 'pg';

export type SqlValue = string | number | boolean | null | Buffer;

export interface Sql {
  rows<R extends QueryResultRow>(text: string, values?: readonly SqlValue[]): Promise<R[]>;
  /** @returns how many rows were touched */
  run(text: string, values?: readonly SqlValue[]): Promise<number>;
}

/** Inside a transaction. */
export interface Tx extends Sql {
  /** Sends without waiting for an answer; whoever ends the transaction does. */
  send(text: string, values?: readonly SqlValue[]): void;
  /** Likewise. @param text `copy … from stdin (format binary)` */
  copy(text: string, rows: CopyRows): void;
}

const BOOL = 16;
const BYTEA = 17;
const NUMBERS = new Set([20, 21, 23]);

const sqlTypes: CustomTypesConfig = {
  getTypeParser: (type: number) => {
    if (type === BOOL) return (value: string) => value === 't';
    if (type === BYTEA) return hexBytes;
    // Counts and op ids stay below 2^53.
    if (NUMBERS.has(type)) return Number;
    return (value: string) => value;
  },
};

function hexBytes(value: string): Buffer {
  return Buffer.from(value.slice(2), 'hex');
}

/** Whatever takes a query: a client or a pool. */
type Queryable = Pick<ClientBase, 'query'>;

export class ConnectionSql implements Sql {
  readonly #connection: Queryable;

  constructor(connection: Queryable) {
    this.#connection = connection;
  }

  async rows<R extends QueryResultRow>(text: string, values: readonly SqlValue[] = []): Promise<R[]> {
    return (await this.#query<R>(text, values)).rows;
  }

  async run(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return (await this.#query(text, values)).rowCount ?? 0;
  }

  #query<R extends QueryResultRow>(text: string, values: readonly SqlValue[]): Promise<QueryResult<R>> {
    return this.#connection.query<R>({ text, values: [...values], types: sqlTypes });
  }
}

/** On a connection that pipelines: what is sent together takes one round trip. */
export class TransactionSql extends ConnectionSql implements Tx {
  readonly #client: ClientBase;
  readonly #sent: Promise<unknown>[] = [];

  constructor(client: ClientBase) {
    super(client);
    this.#client = client;
  }

  send(text: string, values: readonly SqlValue[] = []): void {
    this.#await(this.run(text, values));
  }

  copy(text: string, rows: CopyRows): void {
    const answered = new Promise<void>((resolve, reject) => {
      this.#client.query(new CopyIn(text, rows, (error) => (error ? reject(error) : resolve())));
    });
    this.#await(answered);
  }

  #await(answered: Promise<unknown>): void {
    answered.catch(() => undefined);
    this.#sent.push(answered);
  }

  /** Rejects with the first failure, if there was one. */
  async settled(): Promise<void> {
    await Promise.all(this.#sent);
  }
}
