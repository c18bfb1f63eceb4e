/**
 * The effects of one flush, gathered and packed before its transaction starts: everything that does not depend on op
 * ids, which only the transaction knows. Ordinals count the ops and lookups of the flush: 0, 1, 2, …
 */
import type { BucketName, RecordKey, TableId } from '@sluice/core';
import type { Effect } from '@sluice/storage';
import { BucketRuns, type PackedRun } from './op-runs.ts';

export interface LookupEntry {
  readonly key: string;
  readonly table: TableId;
  readonly row: RecordKey;
  readonly value: string;
  readonly ordinal: number;
}

export class Assembly {
  /** Op ids this flush will take. */
  ordinals = 0;
  readonly buckets = new Map<BucketName, BucketRuns>();
  readonly lookups: LookupEntry[] = [];

  add(table: TableId, row: RecordKey, effect: Effect): void {
    for (const op of effect.ops) {
      let runs = this.buckets.get(op.bucket);
      if (runs === undefined) this.buckets.set(op.bucket, (runs = new BucketRuns()));
      runs.add(op, this.ordinals++);
    }
    for (const { key, value } of effect.lookups) {
      this.lookups.push({ key, table, row, value, ordinal: this.ordinals++ });
    }
  }

  /** Behind what is here already. Both must be sealed. */
  append(other: Assembly): void {
    for (const [bucket, { runs }] of other.buckets) {
      let own = this.buckets.get(bucket);
      if (own === undefined) this.buckets.set(bucket, (own = new BucketRuns()));
      for (const run of runs) own.runs.push(shifted(run, this.ordinals));
    }
    for (const entry of other.lookups) this.lookups.push({ ...entry, ordinal: entry.ordinal + this.ordinals });
    this.ordinals += other.ordinals;
  }

  /** Packs what is still open; nothing can be added afterwards. */
  seal(): this {
    for (const runs of this.buckets.values()) runs.seal();
    return this;
  }
}

function shifted(run: PackedRun, by: number): PackedRun {
  return { ...run, firstOrdinal: run.firstOrdinal + by, lastOrdinal: run.lastOrdinal + by };
}
