/**
 * The rows of one copied chunk. What they amount to is packed before the transaction, as if none of them was there yet,
 * which is nearly always so; the transaction then asks which are, and leaves those out.
 */
import type { Clock, RecordKey, TableId } from '@sluice/core';
import { type Effect, inSlices, type PackedRows } from '@sluice/storage';
import { append, type Appended } from './append.ts';
import { Assembly } from './assembly.ts';
import type { Names } from './names.ts';
import type { Sql, Tx } from './sql.ts';
import { insertRecords, knownKeys, LIVE, PARTIAL } from './sql/records.ts';
import type { StateRow } from './state-row.ts';

interface EvaluatedRow {
  readonly key: RecordKey;
  readonly effect: Effect;
  readonly record: Uint8Array;
}

export interface KnownRows {
  readonly row: StateRow;
  /** As the transaction found them behind its lock. */
  readonly known: ReadonlySet<RecordKey>;
}

export class SnapshotRows {
  readonly #table: TableId;
  readonly #rows: EvaluatedRow[] = [];
  readonly #keys = new Set<RecordKey>();
  #assembly = new Assembly();

  private constructor(table: TableId) {
    this.#table = table;
  }

  static async prepare(packed: PackedRows, clock: Clock): Promise<SnapshotRows> {
    const rows = new SnapshotRows(packed.tableId);
    await inSlices(clock, packed.count, (at) => {
      const key = packed.key(at);
      const effect = packed.effect(at);
      if (!rows.#keys.has(key)) rows.#add(key, effect, effect.record);
    });
    rows.#assembly.seal();
    return rows;
  }

  #add(key: RecordKey, effect: Effect, record: Uint8Array): void {
    this.#keys.add(key);
    this.#rows.push({ key, effect, record });
    this.#assembly.add(this.#table, key, effect);
  }

  /** Which of the rows are there already. */
  known(sql: Sql, tables: ReturnType<Names['of']>): Promise<ReadonlySet<RecordKey>> {
    const keys = this.#rows.map(({ key }) => key);
    return knownKeys(sql, tables.records, { tableId: this.#table, keys });
  }

  /** Inside the transaction. */
  async write(sql: Tx, tables: ReturnType<Names['of']>, at: KnownRows): Promise<Appended> {
    const { known, row } = at;
    const rows = known.size === 0 ? this.#rows : this.#rows.filter(({ key }) => !known.has(key));
    const assembly = known.size === 0 ? this.#assembly : this.#assemble(rows);
    const puts = rows.map(({ key, effect, record }) => ({ key, record, flags: effect.partial ? PARTIAL : LIVE }));
    insertRecords(sql, tables.records, this.#table, puts);
    return append(sql, tables, row, assembly);
  }

  #assemble(rows: readonly EvaluatedRow[]): Assembly {
    const assembly = new Assembly();
    for (const { key, effect } of rows) assembly.add(this.#table, key, effect);
    return assembly.seal();
  }
}
