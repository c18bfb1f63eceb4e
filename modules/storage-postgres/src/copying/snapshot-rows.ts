/**
 * The rows of one copied chunk. What they amount to is packed before the transaction, as if none of them was there yet,
 * which is nearly always so; the transaction then asks which are, and leaves those out.
 */
import type { BucketName, Clock, RecordKey, TableId } from '@sluice/core';
import { inSlices, type PackedRows } from '@sluice/storage';
import { Assembly } from '../assembly.ts';
import type { Names } from '../names.ts';
import type { Sql, Tx } from '../sql.ts';
import { CopyRows } from '../copy-in.ts';
import { insertRecords, knownKeys, LIVE, packRecords, PARTIAL } from '../sql/records.ts';

interface EvaluatedRow {
  readonly key: RecordKey;
  readonly effect: ReturnType<PackedRows['effect']>;
}

export class SnapshotRows {
  readonly #table: TableId;
  readonly #rows: EvaluatedRow[] = [];
  readonly #keys = new Set<RecordKey>();
  #assembly = new Assembly();
  #records = new CopyRows();

  private constructor(table: TableId) {
    this.#table = table;
  }

  static async prepare(packed: PackedRows, clock: Clock): Promise<SnapshotRows> {
    const rows = new SnapshotRows(packed.tableId);
    await inSlices(clock, packed.count, (at) => {
      const key = packed.key(at);
      if (!rows.#keys.has(key)) rows.#add(key, packed.effect(at));
    });
    rows.#assembly.seal();
    rows.#records = rows.#pack(rows.#rows);
    return rows;
  }

  #add(key: RecordKey, effect: EvaluatedRow['effect']): void {
    this.#keys.add(key);
    this.#rows.push({ key, effect });
    this.#assembly.add(this.#table, key, effect);
  }

  get buckets(): Iterable<BucketName> {
    return this.#assembly.buckets.keys();
  }

  /** Which of the rows are there already. */
  known(sql: Sql, tables: ReturnType<Names['of']>): Promise<ReadonlySet<RecordKey>> {
    const keys = this.#rows.map(({ key }) => key);
    return knownKeys(sql, tables.records, { tableId: this.#table, keys });
  }

  /**
   * Inside the transaction.
   * @param known as it found them behind its lock
   * @param earlier chunks that it has written before
   * @returns what is to be appended for those that were not there
   */
  write(sql: Tx, records: string, known: ReadonlySet<RecordKey>, earlier: readonly SnapshotRows[]): Assembly {
    const same = earlier.filter((chunk) => chunk.#table === this.#table);
    const isNew = (key: RecordKey) => !known.has(key) && !same.some((chunk) => chunk.#keys.has(key));
    const rows = known.size + same.length === 0 ? this.#rows : this.#rows.filter(({ key }) => isNew(key));
    if (rows.length === 0) return new Assembly();
    const isWhole = rows.length === this.#rows.length;
    insertRecords(sql, records, isWhole ? this.#records : this.#pack(rows));
    return isWhole ? this.#assembly : this.#assemble(rows);
  }

  #pack(rows: readonly EvaluatedRow[]): CopyRows {
    const puts = rows.map(({ key, effect: { record, partial } }) => ({ key, record, flags: partial ? PARTIAL : LIVE }));
    return packRecords(this.#table, puts);
  }

  #assemble(rows: readonly EvaluatedRow[]): Assembly {
    const assembly = new Assembly();
    for (const { key, effect } of rows) assembly.add(this.#table, key, effect);
    return assembly.seal();
  }
}
