/** What the last checkpoints changed, bounded: whoever asks about more than that is told "anything". */
import type { BucketName, OpId } from '@sluice/core';
import type { Changes } from '@sluice/storage';

interface HistoryEntry {
  readonly from: OpId;
  readonly to: OpId;
  readonly changes: Changes;
}

const CHECKPOINTS_MAX = 64;
const NAMES_MAX = 50_000;

export class ChangeHistory {
  #entries: HistoryEntry[] = [];
  #names = 0;
  /** Of each bucket in the entries, the last checkpoint that changed it. */
  readonly #lastChange = new Map<BucketName, OpId>();
  /** Newest op id up to which a checkpoint changed all buckets, or may have; 0 if none in the entries did. */
  #allChanged = 0;

  add(entry: HistoryEntry): void {
    this.#entries.push(entry);
    this.#names += names(entry.changes);
    const { buckets } = entry.changes;
    if (buckets === 'all') this.#allChanged = entry.to;
    else for (const bucket of buckets) this.#lastChange.set(bucket, entry.to);
    while (this.#entries.length > CHECKPOINTS_MAX || this.#names > NAMES_MAX) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#entries.shift();
    if (oldest === undefined) return;
    this.#names -= names(oldest.changes);
    const { buckets } = oldest.changes;
    if (buckets === 'all') return;
    for (const bucket of buckets) if (this.#lastChange.get(bucket) === oldest.to) this.#lastChange.delete(bucket);
  }

  /** Whether everything since `asOf` is known, up to `newest`. */
  covers(asOf: OpId, newest: OpId): boolean {
    const first = this.#entries[0];
    return asOf >= newest || (first !== undefined && asOf >= first.from);
  }

  /** Whether a bucket may have changed in (asOf, newest]. */
  mayHaveChanged(bucket: BucketName, asOf: OpId, newest: OpId): boolean {
    if (!this.covers(asOf, newest) || this.#allChanged > asOf) return true;
    return (this.#lastChange.get(bucket) ?? 0) > asOf;
  }

  /** Which of the names may have changed in (asOf, newest]. */
  changedSince(
    asOf: OpId,
    newest: OpId,
    about: { readonly kind: 'buckets' | 'lookups'; readonly followed: ReadonlySet<string> },
  ): ReadonlySet<string> | 'all' {
    if (!this.covers(asOf, newest)) return 'all';
    const changed = new Set<string>();
    for (const entry of this.#entries) {
      if (entry.to <= asOf) continue;
      const set = entry.changes[about.kind];
      if (set === 'all') return 'all';
      for (const name of smaller(set, about.followed)) if (set.has(name) && about.followed.has(name)) changed.add(name);
    }
    return changed;
  }
}

function names({ buckets, lookups }: Changes): number {
  return (buckets === 'all' ? 0 : buckets.size) + (lookups === 'all' ? 0 : lookups.size);
}

function smaller(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return a.size <= b.size ? a : b;
}
