/**
 * The effects of one flush, gathered and packed before its transaction starts: everything that does not depend on op
 * ids, which only the transaction knows. Ordinals count the ops and lookups of the flush: 0, 1, 2, …
 */
import type { BucketName, OpDraft, OpId, RecordKey, StreamId, TableId } from '@sluice/core';
import type { Effect } from '@sluice/storage';
import { Arena } from './arena.ts';
import { type BucketHead, getBucketHead, putBucketHead } from './buckets.ts';
import { logChanges } from './changes.ts';
import { bucketKey, opKey } from './keys.ts';
import { type LookupEntry, putLookup } from './lookups.ts';
import { BucketRuns, StoredRun } from './op-runs.ts';
import type { Schema } from './schema.ts';
import { getCounters, putCounters } from './streams.ts';

export class Assembly {
  /** Op ids this flush will take. */
  ordinals = 0;
  readonly #arena = new Arena();
  readonly #buckets = new Map<BucketName, BucketRuns>();
  readonly #lookups: LookupEntry[] = [];

  add(table: TableId, row: RecordKey, effect: Effect): void {
    for (const op of effect.ops) this.#addOp(op);
    for (const { key, value } of effect.lookups) {
      this.#lookups.push({ key, table, row, value, ordinal: this.ordinals++ });
    }
  }

  #addOp(op: OpDraft): void {
    let runs = this.#buckets.get(op.bucket);
    if (runs === undefined) this.#buckets.set(op.bucket, (runs = new BucketRuns(this.#arena)));
    runs.add(op, this.ordinals++);
  }

  /** Packs what is still open; nothing can be added afterwards. */
  seal(): this {
    for (const runs of this.#buckets.values()) runs.seal();
    return this;
  }

  /** A sealed copy that lacks some ordinals; the others move up. */
  without(left: ReadonlySet<number>): Assembly {
    const kept: { readonly ordinal: number; readonly add: () => void }[] = [];
    const copy = new Assembly();
    for (const [bucket, { runs }] of this.#buckets) {
      for (const { lastOrdinal, bytes } of runs) {
        const run = new StoredRun(bytes, lastOrdinal);
        for (let at = 0; at < run.count; at++) {
          const op: OpDraft = { bucket, checksum: run.checksumAt(at), body: run.body(at) };
          kept.push({ ordinal: run.opId(at), add: () => copy.#addOp(op) });
        }
      }
    }
    for (const entry of this.#lookups) {
      kept.push({ ordinal: entry.ordinal, add: () => copy.#lookups.push({ ...entry, ordinal: copy.ordinals++ }) });
    }
    kept.sort((a, b) => a.ordinal - b.ordinal);
    for (const { ordinal, add } of kept) if (!left.has(ordinal)) add();
    return copy.seal();
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
