/**
 * The effects of one flush, gathered and packed before its transaction starts: everything that does not depend on op
 * ids, which only the transaction knows. Ordinals count the ops and lookups of the flush: 0, 1, 2, …
 */
import type { BucketName, RecordKey, TableId } from '@sluice/core';
import type { Effect } from '@sluice/storage';
import { BucketRuns } from './op-runs.ts';

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

  /** Packs what is still open; nothing can be added afterwards. */
  seal(): this {
    for (const runs of this.buckets.values()) runs.seal();
    return this;
  }
}
