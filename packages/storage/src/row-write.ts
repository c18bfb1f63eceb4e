/** Rows on their way into storage, and what they come to there. */
import type { RecordKey, TableId } from '@sluice/core';
import type { Effect } from './effect.ts';
import type { TableState } from './table-state.ts';

/**
 * One row to be written. Adapters look at these three fields only; what a change says is known to the `evaluate`
 * function that comes with it.
 */
export interface RowWrite {
  readonly tableId: TableId;
  readonly key: RecordKey;
  /** The key the row had before, where this change moved it: its record is loaded too. A write of its own ends it. */
  readonly movedFrom?: RecordKey;
}

/**
 * Pure: same inputs, same effect. Adapters may call it again for a row whose record changed in between.
 * @param prior the live record under `write.key`, null if none (tombstones are none)
 * @param moved the live record under `write.movedFrom`, null if none
 * @param table the table's state inside this transaction
 * @returns null if there is nothing to write
 */
export type Evaluate<W extends RowWrite> = (
  write: W,
  prior: Uint8Array | null,
  moved: Uint8Array | null,
  table: TableState,
) => Effect | null;
