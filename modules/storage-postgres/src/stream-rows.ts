/**
 * The rows of one streamed flush, or of a copied chunk that is compared with older records: loaded, and evaluated in
 * their order, later ones seeing earlier ones. When that is safe before the transaction is `FencedWrites`' to know.
 */
import { type Clock, invariant, type RecordKey, type TableId } from '@sluice/core';
import { type Evaluate, inSlices, needsTombstones, type RowWrite, type TableState } from '@sluice/storage';
import { append, type Appended } from './append.ts';
import { Assembly } from './assembly.ts';
import type { Names } from './names.ts';
import type { Sql, Tx } from './sql.ts';
import { type BucketNumbers, bucketNumbers } from './sql/append-ops.ts';
import { deleteRecords, LIVE, loadRecords, PARTIAL, putRecords, type RecordPut, TOMBSTONE } from './sql/records.ts';
import type { SourceTables } from './sql/tables.ts';
import type { StateRow } from './state-row.ts';

/** A row as it stands after the writes so far. */
interface RowState {
  readonly isStored: boolean;
  /** The live record; null if there is none. */
  record: Uint8Array | null;
  partial: boolean;
  changed: boolean;
}

interface TableRows {
  readonly table: TableState;
  readonly rows: Map<RecordKey, RowState>;
}

export interface Rows<W extends RowWrite> {
  readonly writes: readonly W[];
  readonly evaluate: Evaluate<W>;
}

/** Where prior records come from. */
export interface Origin {
  readonly sql: Sql;
  readonly records: string;
  readonly tables: SourceTables;
  readonly clock: Clock;
}

/** As the transaction found it behind its lock. */
export interface StreamRowsAt {
  readonly row: StateRow;
  readonly numbers: BucketNumbers;
}

const NOTHING = new Uint8Array(0);

export class StreamRows {
  readonly #tables = new Map<TableId, TableRows>();
  readonly #assembly = new Assembly();

  async evaluate<W extends RowWrite>({ writes, evaluate }: Rows<W>, from: Origin): Promise<void> {
    await this.#load(writes, from);
    await inSlices(from.clock, writes.length, (at) => this.#apply(writes[at] as W, evaluate));
    this.#assembly.seal();
  }

  /** Copied rows of an unconfirmed table: those that have a tombstone are left alone. */
  async compare<W extends RowWrite>({ writes, evaluate }: Rows<W>, from: Origin): Promise<void> {
    await this.#load(writes, from);
    await inSlices(from.clock, writes.length, (at) => {
      const write = writes[at] as W;
      const { isStored, record } = rowOf(this.#tables.get(write.tableId) as TableRows, write.key);
      if (!isStored || record !== null) this.#apply(write, evaluate);
    });
    this.#assembly.seal();
  }

  async #load(writes: readonly RowWrite[], { sql, records, tables }: Origin): Promise<void> {
    const keys = new Map<TableId, Set<RecordKey>>();
    for (const { tableId, key, movedFrom } of writes) {
      let known = keys.get(tableId);
      if (known === undefined) keys.set(tableId, (known = new Set()));
      known.add(key);
      if (movedFrom !== undefined) known.add(movedFrom);
    }
    const loading = [...keys].map(async ([tableId, named]) => {
      return { tableId, found: await loadRecords(sql, records, { tableId, keys: [...named] }) };
    });
    const [states, ...loaded] = await Promise.all([tables.find([...keys.keys()]), ...loading]);
    for (const { tableId, found } of loaded) {
      const table = states.get(tableId);
      invariant(table !== undefined, `there is no table ${tableId}`);
      const rows = new Map<RecordKey, RowState>();
      for (const { key, flags, record } of found) {
        const isLive = flags !== TOMBSTONE;
        rows.set(key, {
          isStored: true,
          record: isLive ? record : null,
          partial: flags === PARTIAL,
          changed: false,
        });
      }
      this.#tables.set(tableId, { table, rows });
    }
  }

  #apply<W extends RowWrite>(write: W, evaluate: Evaluate<W>): void {
    const rows = this.#tables.get(write.tableId) as TableRows;
    const row = rowOf(rows, write.key);
    const moved = write.movedFrom === undefined ? null : rowOf(rows, write.movedFrom).record;
    const effect = evaluate(write, row.record, moved, rows.table);
    if (effect === null) return;
    row.record = effect.record;
    row.partial = effect.record !== null && effect.partial;
    row.changed = true;
    this.#assembly.add(write.tableId, write.key, effect);
  }

  bucketNumbers(sql: Sql, tables: ReturnType<Names['of']>): Promise<BucketNumbers> {
    return bucketNumbers(sql, tables.buckets, this.#assembly.buckets.keys());
  }

  /** Inside the transaction. */
  async write(sql: Tx, tables: ReturnType<Names['of']>, at: StreamRowsAt): Promise<Appended> {
    const { row, numbers } = at;
    for (const [tableId, { table, rows }] of this.#tables) {
      const tombstones = needsTombstones(table, row.state.checkpoint);
      const puts: RecordPut[] = [];
      const deletes: RecordKey[] = [];
      for (const [key, { isStored, record, partial, changed }] of rows) {
        if (!changed) continue;
        if (record !== null) puts.push({ key, flags: partial ? PARTIAL : LIVE, record });
        else if (tombstones) puts.push({ key, flags: TOMBSTONE, record: NOTHING });
        else if (isStored) deletes.push(key);
      }
      putRecords(sql, tables.records, tableId, puts);
      deleteRecords(sql, tables.records, { tableId, keys: deletes });
    }
    return append(sql, tables, row, { assembly: this.#assembly, numbers });
  }
}

function rowOf({ rows }: TableRows, key: RecordKey): RowState {
  let row = rows.get(key);
  if (row === undefined) rows.set(key, (row = { isStored: false, record: null, partial: false, changed: false }));
  return row;
}
