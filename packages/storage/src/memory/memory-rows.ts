/** The records of a stream in memory, with the ops and lookups that changing them makes. */
import { type OpId, type RecordKey, type TableId } from '@sluice/core';
import type { Effect } from '../effect.ts';
import { needsTombstones, type TableState } from '../table-state.ts';
import type { MemoryStream, StoredRecord } from './memory-stream.ts';

export class MemoryRows {
  readonly #stream: MemoryStream;
  readonly #undo: (() => void)[] = [];

  constructor(stream: MemoryStream) {
    this.#stream = stream;
  }

  of(tableId: TableId): Map<RecordKey, StoredRecord> {
    const rows = this.#stream.records.get(tableId) ?? new Map<RecordKey, StoredRecord>();
    this.#stream.records.set(tableId, rows);
    return rows;
  }

  live(tableId: TableId, key: RecordKey): Uint8Array | null {
    const record = this.of(tableId).get(key);
    return record?.kind === 'live' ? record.bytes : null;
  }

  /** Takes back the rows, ops and lookups of work that throws. */
  allOrNothing(work: () => void): void {
    const { ops, lookups } = this.#stream;
    const lengths = { ops: ops.length, lookups: lookups.length };
    this.#undo.length = 0;
    try {
      work();
    } catch (error) {
      for (const undo of this.#undo.reverse()) undo();
      ops.length = lengths.ops;
      lookups.length = lengths.lookups;
      throw error;
    }
  }

  /** @returns the new head */
  apply(table: TableState, key: RecordKey, effect: Effect, head: OpId): OpId {
    const rows = this.of(table.id);
    const before = rows.get(key);
    this.#undo.push(() => (before === undefined ? rows.delete(key) : rows.set(key, before)));
    if (effect.record !== null) rows.set(key, { kind: 'live', bytes: effect.record.slice(), partial: effect.partial });
    else if (needsTombstones(table, this.#stream.state.checkpoint)) rows.set(key, { kind: 'tombstone' });
    else rows.delete(key);
    let newHead = head;
    for (const op of effect.ops) this.#stream.ops.push({ ...op, body: op.body.slice(), id: ++newHead });
    for (const lookup of effect.lookups)
      this.#stream.lookups.push({ ...lookup, row: `${table.id}.${key}`, id: ++newHead });
    return newHead;
  }
}
