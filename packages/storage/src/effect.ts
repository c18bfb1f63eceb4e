/** What writing one row amounts to. */
import type { OpDraft } from '@sluice/core';

/** Parameter-index entry of a source row. An empty `value` ends the entry. */
export interface LookupDraft {
  /** Canonical text of the lookup tuple. */
  readonly key: string;
  /** JSON array text of parameter sets. */
  readonly value: string;
}

export interface Effect {
  /** The row's next record (see source-record.ts); null ends it, leaving a tombstone where the table still needs one. */
  readonly record: Uint8Array | null;
  readonly ops: readonly OpDraft[];
  readonly lookups: readonly LookupDraft[];
  /** Whether `record` misses values: such rows are listed by `StreamReader.partialRecords` until they are completed. */
  readonly partial: boolean;
}
