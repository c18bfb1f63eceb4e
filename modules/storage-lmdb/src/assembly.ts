/** The effects of one flush, gathered one by one and packed before its transaction starts. */
import type { BucketName, OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import { type Effect, itemOf, type LookupDraft } from '@sluice/storage';
import { Arena } from './arena.ts';
import { type Effects, writeEffects } from './effects.ts';
import type { LookupEntry } from './lookups.ts';
import { BucketRuns } from './op-runs.ts';
import type { Schema } from './schema.ts';

export class Assembly implements Effects {
  ordinals = 0;
  readonly lookups: LookupEntry[] = [];
  readonly buckets = new Map<BucketName, BucketRuns>();
  readonly #arena = new Arena();

  add(table: TableId, row: RecordKey, { ops, lookups }: Effect): void {
    for (const { bucket, checksum, body } of ops) this.#runs(bucket).add(itemOf(body), checksum, this.ordinals++);
    for (const lookup of lookups) this.#addLookup(table, row, lookup);
  }

  #runs(bucket: BucketName): BucketRuns {
    const known = this.buckets.get(bucket);
    if (known !== undefined) return known;
    const runs = new BucketRuns(this.#arena);
    this.buckets.set(bucket, runs);
    return runs;
  }

  #addLookup(table: TableId, row: RecordKey, { key, value }: LookupDraft): void {
    this.lookups.push({ key, table, row, value, ordinal: this.ordinals++ });
  }

  /** Packs what is still open; nothing can be added afterwards. */
  seal(): this {
    for (const runs of this.buckets.values()) runs.seal();
    return this;
  }

  /** Inside the transaction, after `seal`. @returns the new head */
  write(schema: Schema, stream: StreamId, headOp: OpId): OpId {
    return writeEffects(schema, stream, headOp, this);
  }
}
