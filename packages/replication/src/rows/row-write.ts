/** The writes that replication hands to storage. `evaluate.ts` is the only one to look inside. */
import type { Position, RawRow } from '@sluice/core';
import type { RowWrite } from '@sluice/storage';
import type { TableBinding } from '../tables/table-binding.ts';

export type ChangeWrite = UpsertWrite | DeleteWrite | CompleteWrite;

/** The row as it is now; `undefined` values are unchanged and filled from the record before. */
export interface UpsertWrite extends RowWrite {
  readonly kind: 'upsert';
  readonly binding: TableBinding;
  readonly row: RawRow;
  /** Boundary of the source transaction that said it; null for a row that was copied. */
  readonly boundary: Position | null;
  /** Whether the transaction may have been applied before a restart, so that records may be newer than it is. */
  readonly replayed: boolean;
}

export interface DeleteWrite extends RowWrite {
  readonly kind: 'delete';
  readonly binding: TableBinding;
  /** Boundary of the source transaction that said it. */
  readonly boundary: Position;
}

/** Fills the gaps of a partial record from a targeted re-read, if the record is still the one the re-read was for. */
export interface CompleteWrite extends RowWrite {
  readonly kind: 'complete';
  readonly binding: TableBinding;
  readonly row: RawRow;
  readonly expected: Uint8Array;
  /** Sampled in the source after the re-read. */
  readonly readBefore: Position;
}

/** Bytes a write roughly holds in memory; for budgets, not for accounts. */
export function approximateBytes(row: RawRow): number {
  let bytes = 64;
  for (const value of row) bytes += 8 + (value?.length ?? 0);
  return bytes;
}
