/**
 * The effects of one flush, gathered and packed before its transaction starts: everything that does not depend on op
 * ids, which only the transaction knows. Ordinals count the ops and lookups of the flush: 0, 1, 2, …
 */
import type { BucketName, OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import { type Effect, itemOf, type LookupDraft, type PackedRows } from '@sluice/storage';
import { Arena } from './arena.ts';
import { type BucketHead, getBucketHead, putBucketHead } from './buckets.ts';
import { logChanges } from './changes.ts';
import { bucketKey, opKey } from './keys.ts';
import { type LookupEntry, putLookup } from './lookups.ts';
import { BucketRuns } from './op-runs.ts';
import type { Schema } from './schema.ts';
import { getCounters, putCounters } from './streams.ts';

export class Assembly {
  /** Op ids this flush will take. */
  ordinals = 0;
  readonly #arena = new Arena();
  readonly #buckets = new Map<BucketName, BucketRuns>();
  readonly #lookups: LookupEntry[] = [];

  add(table: TableId, row: RecordKey, { ops, lookups }: Effect): void {
    for (const { bucket, checksum, body } of ops) this.#runs(bucket).add(itemOf(body), checksum, this.ordinals++);
    for (const lookup of lookups) this.#addLookup(table, row, lookup);
  }

  addPacked(rows: PackedRows, at: number): void {
    for (let op = rows.firstOp(at); op < rows.firstOp(at + 1); op++) {
      const runs = this.#runs(rows.bucket(op));
      runs.add(rows.bodies.item(op), rows.checksums.at(op), this.ordinals++);
    }
    for (const lookup of rows.lookups(at)) this.#addLookup(rows.tableId, rows.key(at), lookup);
  }

  #runs(bucket: BucketName): BucketRuns {
    const known = this.#buckets.get(bucket);
    if (known !== undefined) return known;
    const runs = new BucketRuns(this.#arena);
    this.#buckets.set(bucket, runs);
    return runs;
  }

  #addLookup(table: TableId, row: RecordKey, { key, value }: LookupDraft): void {
    this.#lookups.push({ key, table, row, value, ordinal: this.ordinals++ });
  }

  /** Packs what is still open; nothing can be added afterwards. */
  seal(): this {
    for (const runs of this.#buckets.values()) runs.seal();
    return this;
  }

  /** Inside the transaction, after `seal`. @returns the new head */
  write(schema: Schema, stream: StreamId, headOp: OpId): OpId {
    if (this.ordinals === 0) return headOp;
    const first = headOp + 1;
    const newHead = headOp + this.ordinals;
    const counters = getCounters(schema, stream);
    let buckets = counters.buckets;
    for (const [name, runs] of this.#buckets) {
      const key = bucketKey(stream, name);
      const head: BucketHead = getBucketHead(schema, key) ?? { number: ++buckets, checksum: 0, count: 0, lastOp: 0 };
      for (const run of runs.runs) schema.ops.putSync(opKey(stream, head.number, first + run.lastOrdinal), run.bytes);
      putBucketHead(schema, key, {
        number: head.number,
        checksum: (head.checksum + runs.checksum) | 0,
        count: head.count + runs.count,
        lastOp: first + runs.lastOrdinal,
      });
    }
    if (buckets !== counters.buckets) putCounters(schema, stream, { ...counters, buckets });
    for (const entry of this.#lookups) putLookup(schema, stream, { ...entry, opId: first + entry.ordinal });
    const lookups = new Set(this.#lookups.map((entry) => entry.key));
    logChanges(schema, { stream, headOp: newHead }, { buckets: this.#buckets, lookups });
    return newHead;
  }
}
