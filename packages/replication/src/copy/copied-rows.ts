/**
 * Copied rows, taken in as they arrive: evaluated and packed, since a copied row needs no prior record, as it is written
 * only if there is none (docs/decisions/0012-byte-path-of-copies.md); or kept, where the table's rows must be compared with
 * records of an older history.
 */
import type { ByteRows } from '@sluice/core';
import type { ComparedRows, SnapshotFlush } from '@sluice/storage';
import { evaluate } from '../rows/evaluate.ts';
import type { UpsertWrite } from '../rows/row-write.ts';
import type { TableBinding } from '../tables/table-binding.ts';
import { copiedKey, RowPacker } from './row-packer.ts';
import { rowProgram } from './row-program.ts';
import { BatchPacker } from './batch-packer.ts';

export interface CopiedRows {
  readonly binding: TableBinding;
  readonly count: number;
  /** What a flush takes. */
  readonly flushed: SnapshotFlush<UpsertWrite>['rows'];
  /** Adds the rows from `from` up to `to`. */
  add(rows: ByteRows, from: number, to: number): void;
  /** Once storage has what it needs of `flushed`: its memory is used for other rows. */
  release(): void;
}

/** @param program null packs row by row */
export function copiedRows(binding: TableBinding, program = rowProgram): CopiedRows {
  if (binding.table.unconfirmed) return new RowsToCompare(binding);
  const [keyColumn] = binding.keyColumns;
  const isPlainKey = keyColumn !== undefined && binding.keyColumns.length === 1;
  return program === null || !isPlainKey ? new RowPacker(binding) : new BatchPacker(binding, keyColumn, program);
}

class RowsToCompare implements CopiedRows {
  readonly binding: TableBinding;
  readonly #writes: UpsertWrite[] = [];

  constructor(binding: TableBinding) {
    this.binding = binding;
  }

  get count(): number {
    return this.#writes.length;
  }

  get flushed(): ComparedRows<UpsertWrite> {
    return { writes: this.#writes, evaluate };
  }

  release(): void {}

  add(rows: ByteRows, from: number, to: number): void {
    const { binding } = this;
    for (rows.at = from; rows.at < to; rows.at++) {
      const key = copiedKey(rows, binding.keyColumns);
      const at = { tableId: binding.table.id, key, boundary: null, replayed: false };
      this.#writes.push({ kind: 'upsert', binding, row: rows.row(), ...at });
    }
  }
}
