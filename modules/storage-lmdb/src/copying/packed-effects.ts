/** What copied rows amount to beside their records: their ops cut into runs (op-runs.ts), bucket by bucket, and their lookups. */
import type { BucketName } from '@sluice/core';
import { OP_ENTRY_BYTES, type PackedRows, putOpEntry } from '@sluice/storage';
import type { Arena } from '../arena.ts';
import { OP_RUN_BYTES } from '../config.ts';
import type { BucketOps, Effects } from '../effects.ts';
import type { LookupEntry } from '../lookups.ts';
import { type PackedRun, putRunHead, RUN_HEAD_BYTES } from '../op-runs.ts';
import { copyItems } from './copy-items.ts';

interface OpenBucket extends BucketOps {
  readonly runs: PackedRun[];
  checksum: number;
  count: number;
  lastOrdinal: number;
}

export class PackedEffects implements Effects {
  ordinals = 0;
  readonly lookups: LookupEntry[] = [];
  readonly buckets = new Map<BucketName, OpenBucket>();
  readonly #rows: PackedRows;
  readonly #arena: Arena;
  /** Per op, its ordinal. */
  readonly #ordinalOf: Int32Array;
  /** The ops bucket by bucket, and per bucket where the next run begins and where the bucket ends. */
  readonly #ops: Int32Array;
  readonly #next: Int32Array;
  readonly #ends: Int32Array;
  #bucket = 0;

  /** @param known rows whose effects are there already */
  constructor(rows: PackedRows, known: ReadonlySet<number>, arena: Arena) {
    this.#rows = rows;
    this.#arena = arena;
    this.#ordinalOf = new Int32Array(rows.opCount);
    this.#ops = new Int32Array(rows.opCount);
    this.#next = new Int32Array(rows.bucketNames.length);
    this.#ends = new Int32Array(rows.bucketNames.length);
    this.#order(known);
  }

  /** Counts the ops of each bucket, then puts each op where it belongs. */
  #order(known: ReadonlySet<number>): void {
    const rows = this.#rows;
    const bucketOf = rows.bucketOf.values;
    for (let at = 0; at < rows.count; at++) {
      if (known.size === 0 || !known.has(at)) this.#giveOrdinals(at);
      else this.#ordinalOf.fill(LEFT_OUT, rows.firstOp(at), rows.firstOp(at + 1));
    }
    let start = 0;
    for (const [bucket, count] of this.#ends.entries()) {
      this.#next[bucket] = start;
      this.#ends[bucket] = start;
      start += count;
    }
    for (let op = 0; op < rows.opCount; op++) {
      if (this.#ordinalOf[op] === LEFT_OUT) continue;
      const bucket = bucketOf[op] as number;
      const place = this.#ends[bucket] as number;
      this.#ops[place] = op;
      this.#ends[bucket] = place + 1;
    }
  }

  #giveOrdinals(at: number): void {
    const rows = this.#rows;
    const bucketOf = rows.bucketOf.values;
    for (let op = rows.firstOp(at); op < rows.firstOp(at + 1); op++) {
      const bucket = bucketOf[op] as number;
      this.#ends[bucket] = (this.#ends[bucket] as number) + 1;
      this.#ordinalOf[op] = this.ordinals++;
    }
    for (const { key, value } of rows.lookups(at)) {
      this.lookups.push({ key, table: rows.tableId, row: rows.key(at), value, ordinal: this.ordinals++ });
    }
  }

  /** Packs one run. @returns whether there was one left */
  packNext(): boolean {
    const [nexts, ends] = [this.#next, this.#ends];
    while (this.#bucket < ends.length && nexts[this.#bucket] === ends[this.#bucket]) this.#bucket++;
    if (this.#bucket === ends.length) return false;
    const from = nexts[this.#bucket] as number;
    const { to, bytes } = this.#endOfRun(from, ends[this.#bucket] as number);
    nexts[this.#bucket] = to;
    this.#pack(this.#open(this.#bucket), { from, to, bytes });
    return true;
  }

  #endOfRun(from: number, end: number): { readonly to: number; readonly bytes: number } {
    const { bodies } = this.#rows;
    let bytes = RUN_HEAD_BYTES;
    for (let at = from; at < end; at++) {
      const more = OP_ENTRY_BYTES + bodies.length(this.#ops[at] as number);
      if (bytes + more > OP_RUN_BYTES && at > from) return { to: at, bytes };
      bytes += more;
    }
    return { to: end, bytes };
  }

  #open(bucket: number): OpenBucket {
    const name = this.#rows.bucketNames[bucket] as BucketName;
    const known = this.buckets.get(name);
    if (known !== undefined) return known;
    const open: OpenBucket = { runs: [], checksum: 0, count: 0, lastOrdinal: 0 };
    this.buckets.set(name, open);
    return open;
  }

  #pack(open: OpenBucket, { from, to, bytes }: { from: number; to: number; bytes: number }): void {
    const { bodies, checksums } = this.#rows;
    const [ops, ordinalOf] = [this.#ops, this.#ordinalOf];
    const start = this.#arena.take(bytes);
    const { space } = this.#arena;
    const lastOrdinal = ordinalOf[ops[to - 1] as number] as number;
    let put = start + RUN_HEAD_BYTES;
    let sum = 0;
    let end = 0;
    for (let at = from; at < to; at++, put += OP_ENTRY_BYTES) {
      const op = ops[at] as number;
      const checksum = checksums.at(op);
      end += bodies.length(op);
      sum = (sum + checksum) | 0;
      putOpEntry(space.view, put, lastOrdinal - (ordinalOf[op] as number), end, checksum);
    }
    putRunHead(space.view, start, { count: to - from, sum });
    copyItems(bodies, { numbers: ops, from, to }, space, put);
    open.runs.push({ lastOrdinal, bytes: space.bytes.subarray(start, start + bytes) });
    open.checksum = (open.checksum + sum) | 0;
    open.count += to - from;
    open.lastOrdinal = lastOrdinal;
  }
}

const LEFT_OUT = -1;
