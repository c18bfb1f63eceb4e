/** The part of better-sqlite3 that tests use; the package brings no types. */
declare module 'better-sqlite3' {
  type Cell = null | bigint | number | string | Uint8Array;

  interface Statement {
    raw(): this;
    safeIntegers(): this;
    get(...values: readonly Cell[]): unknown;
  }

  export default class Database {
    constructor(path: string);
    prepare(sql: string): Statement;
  }
}
