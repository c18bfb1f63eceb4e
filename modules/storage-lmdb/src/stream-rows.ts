/**
 * The rows of one streamed flush, or of a copied chunk that is compared with older records: loaded and evaluated in their
 * order, later ones seeing earlier ones. What was loaded must still stand when they are written (fenced-writes.ts).
 */
import type { OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import {
  type CheckpointState,
  type Evaluate,
  needsTombstones,
  PARTIAL,
  type RowWrite,
  type TableState,
  TOMBSTONE,
} from '@sluice/storage';
import { Assembly } from './assembly.ts';
import type { StoredRecord } from './record-groups.ts';
import { Records } from './records.ts';
import type { Schema } from './schema.ts';
import { requireTable } from './tables.ts';

/** A row as it stands after the writes so far. */
interface RowState {
  readonly key: RecordKey;
  readonly stored: StoredRecord | null;
  /** The live record; null if there is none. */
  record: Uint8Array | null;
  partial: boolean;
  changed: boolean;
}

interface TableRows {
  readonly table: TableState;
  readonly records: Records;
  readonly rows: Map<RecordKey, RowState>;
}

export class StreamRows {
  readonly assembly = new Assembly();
  readonly #schema: Schema;
  readonly #stream: StreamId;
  readonly #tables = new Map<TableId, TableRows>();

  constructor(schema: Schema, stream: StreamId) {
    this.#schema = schema;
    this.#stream = stream;
  }

  /** A streamed row. */
  apply<W extends RowWrite>(write: W, evaluate: Evaluate<W>): void {
    const rows = this.#table(write.tableId);
    const row = load(rows, write.key);
    const moved = write.movedFrom === undefined ? null : load(rows, write.movedFrom);
    const effect = evaluate(write, row.record, moved?.record ?? null, rows.table);
    if (effect === null) return;
    row.record = effect.record;
    row.partial = effect.record !== null && effect.partial;
    row.changed = true;
    this.assembly.add(write.tableId, write.key, effect);
  }

  /** A copied row of an unconfirmed table: it is left alone if it has a tombstone. */
  compare<W extends RowWrite>(write: W, evaluate: Evaluate<W>): void {
    const { stored, record } = load(this.#table(write.tableId), write.key);
    if (stored === null || record !== null) this.apply(write, evaluate);
  }

  /** Nothing can be added afterwards. */
  seal(): void {
    this.assembly.seal();
  }

  #table(id: TableId): TableRows {
    const known = this.#tables.get(id);
    if (known !== undefined) return known;
    const table = requireTable(this.#schema, this.#stream, id);
    const rows: TableRows = { table, records: new Records(this.#schema, this.#stream, id), rows: new Map() };
    this.#tables.set(id, rows);
    return rows;
  }

  /** Inside the transaction. @returns the new head */
  write(state: CheckpointState): OpId {
    for (const { table, records, rows } of this.#tables.values()) {
      const tombstones = needsTombstones(table, state.checkpoint);
      for (const row of rows.values()) if (row.changed) store(records, row, tombstones);
      records.write();
    }
    return this.assembly.write(this.#schema, this.#stream, state.headOp);
  }
}

function load({ records, rows }: TableRows, key: RecordKey): RowState {
  const known = rows.get(key);
  if (known !== undefined) return known;
  const stored = records.find(key);
  const isLive = stored !== null && (stored.flags & TOMBSTONE) === 0;
  const row: RowState = {
    key,
    stored,
    record: isLive ? stored.record : null,
    partial: isLive && (stored.flags & PARTIAL) !== 0,
    changed: false,
  };
  rows.set(key, row);
  return row;
}

function store(records: Records, { key, stored, record, partial }: RowState, tombstones: boolean): void {
  const flags = record === null ? TOMBSTONE : partial ? PARTIAL : 0;
  if (record === null && !tombstones) {
    if (stored !== null) records.remove(stored);
  } else if (stored === null) {
    records.add(key, flags, record ?? NOTHING);
  } else {
    records.replace(stored, flags, record ?? NOTHING);
  }
}

const NOTHING = new Uint8Array(0);
