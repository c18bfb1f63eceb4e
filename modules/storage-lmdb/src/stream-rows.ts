/**
 * The rows of one streamed flush. They are loaded and evaluated before the transaction, in their order, later ones
 * seeing earlier ones. That is safe because the writer holds its lock meanwhile and the lease keeps other processes out.
 */
import type { Clock, OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import {
  type CheckpointState,
  type Evaluate,
  needsTombstones,
  type RowWrite,
  type StreamFlush,
  type TableState,
} from '@sluice/storage';
import { Assembly } from './assembly.ts';
import { PARTIAL, type StoredRecord, TOMBSTONE } from './record-groups.ts';
import { Records } from './records.ts';
import type { Schema } from './schema.ts';
import { inSlices } from './slices.ts';
import { requireTable } from './tables.ts';

/** A row as it stands after the writes so far. */
interface RowState {
  readonly table: TableId;
  readonly key: RecordKey;
  readonly stored: StoredRecord | null;
  /** The live record; null if there is none. */
  record: Uint8Array | null;
  partial: boolean;
  changed: boolean;
}

export class StreamRows {
  readonly assembly = new Assembly();
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #records: Records;
  readonly #rows = new Map<TableId, Map<RecordKey, RowState>>();
  readonly #tables = new Map<TableId, TableState>();

  constructor(schema: Schema, stream: StreamId) {
    this.#schema = schema;
    this.#stream = stream;
    this.#records = new Records(schema, stream);
  }

  async evaluate<W extends RowWrite>({ writes, evaluate }: StreamFlush<W>, clock: Clock): Promise<void> {
    await inSlices(clock, writes.length, (at) => this.#apply(writes[at] as W, evaluate));
    this.assembly.seal();
  }

  #apply<W extends RowWrite>(write: W, evaluate: Evaluate<W>): void {
    const row = this.#load(write.tableId, write.key);
    const moved = write.movedFrom === undefined ? null : this.#load(write.tableId, write.movedFrom);
    const effect = evaluate(write, row.record, moved?.record ?? null, this.#table(write.tableId));
    if (effect === null) return;
    row.record = effect.record;
    row.partial = effect.record !== null && effect.partial;
    row.changed = true;
    this.assembly.add(write.tableId, write.key, effect);
  }

  #table(id: TableId): TableState {
    let table = this.#tables.get(id);
    if (table === undefined) this.#tables.set(id, (table = requireTable(this.#schema, this.#stream, id)));
    return table;
  }

  #load(table: TableId, key: RecordKey): RowState {
    let rows = this.#rows.get(table);
    if (rows === undefined) this.#rows.set(table, (rows = new Map()));
    const known = rows.get(key);
    if (known !== undefined) return known;
    const stored = this.#records.find(table, key);
    const isLive = stored !== null && (stored.flags & TOMBSTONE) === 0;
    const row: RowState = {
      table,
      key,
      stored,
      record: isLive ? stored.record : null,
      partial: isLive && (stored.flags & PARTIAL) !== 0,
      changed: false,
    };
    rows.set(key, row);
    return row;
  }

  /** Inside the transaction. @returns the new head */
  write(state: CheckpointState): OpId {
    for (const [id, rows] of this.#rows) {
      const tombstones = needsTombstones(this.#table(id), state.checkpoint);
      for (const row of rows.values()) if (row.changed) this.#store(row, tombstones);
    }
    this.#records.write();
    return this.assembly.write(this.#schema, this.#stream, state.headOp);
  }

  #store({ table, key, stored, record, partial }: RowState, tombstones: boolean): void {
    const flags = record === null ? TOMBSTONE : partial ? PARTIAL : 0;
    if (record === null && !tombstones) {
      if (stored !== null) this.#records.remove(table, stored);
    } else if (stored === null) {
      this.#records.add(table, key, flags, record ?? NOTHING);
    } else {
      this.#records.replace(table, stored, flags, record ?? NOTHING);
    }
  }
}

const NOTHING = new Uint8Array(0);
