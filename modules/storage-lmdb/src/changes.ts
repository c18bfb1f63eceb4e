/**
 * The change log: one entry per flush under its last op, naming the buckets and lookups it touched. It keeps the newest
 * flushes; whoever asks further back is told "all".
 */
import type { OpId, StreamId } from '@sluice/core';
import type { Changes } from '@sluice/storage';
import { CHANGE_LOG_FLUSHES, CHANGE_LOG_NAMES } from './config.ts';
import { afterPrefix, changeKey, documentKey, getU64, streamPrefix } from './keys.ts';
import { getDocument, putDocument, type Schema } from './schema.ts';

interface Entry {
  readonly buckets: readonly string[] | 'all';
  readonly lookups: readonly string[] | 'all';
}

export interface Touched {
  readonly buckets: { readonly size: number; keys(): Iterable<string> };
  readonly lookups: ReadonlySet<string>;
}

export function logChanges(schema: Schema, at: { stream: StreamId; headOp: OpId }, touched: Touched): void {
  const { changes } = schema;
  const entry: Entry = {
    buckets: touched.buckets.size > CHANGE_LOG_NAMES ? 'all' : [...touched.buckets.keys()],
    lookups: touched.lookups.size > CHANGE_LOG_NAMES ? 'all' : [...touched.lookups],
  };
  changes.putSync(changeKey(at.stream, at.headOp), Buffer.from(JSON.stringify(entry)));
  countAndTrim(schema, at.stream);
}

/** How many entries there are, and the newest op of those that were dropped. */
interface Extent {
  readonly count: number;
  readonly droppedUpTo: OpId;
}

function getExtent({ documents }: Schema, stream: StreamId): Extent {
  return getDocument<Extent>(documents, documentKey('changeLog', stream)) ?? { count: 0, droppedUpTo: 0 };
}

/** Lets the log grow to twice its length, then drops the older half. */
function countAndTrim(schema: Schema, stream: StreamId): void {
  const { changes, documents } = schema;
  let { count, droppedUpTo } = getExtent(schema, stream);
  count++;
  if (count > 2 * CHANGE_LOG_FLUSHES) {
    const start = streamPrefix(stream);
    const oldest = [...changes.getKeys({ start, end: afterPrefix(start), limit: CHANGE_LOG_FLUSHES })];
    for (const key of oldest) {
      changes.removeSync(key);
      droppedUpTo = getU64(key, 4);
    }
    count -= oldest.length;
  }
  putDocument(documents, documentKey('changeLog', stream), { count, droppedUpTo } satisfies Extent);
}

/** The flushes in (after, upTo]. Both bounds are ends of flushes, because checkpoints are. */
export function readChanges(schema: Schema, stream: StreamId, range: { after: OpId; upTo: OpId }): Changes {
  const buckets = new Set<string>();
  const lookups = new Set<string>();
  if (range.after >= range.upTo) return { buckets, lookups };
  if (range.after < getExtent(schema, stream).droppedUpTo) return { buckets: 'all', lookups: 'all' };
  let allBuckets = false;
  let allLookups = false;
  const start = Buffer.from(changeKey(stream, range.after + 1));
  for (const { key, value } of schema.changes.getRange({ start, end: afterPrefix(streamPrefix(stream)) })) {
    const entry = JSON.parse(value.toString()) as Entry;
    if (entry.buckets === 'all') allBuckets = true;
    else for (const bucket of entry.buckets) buckets.add(bucket);
    if (entry.lookups === 'all') allLookups = true;
    else for (const lookup of entry.lookups) lookups.add(lookup);
    if (getU64(key, 4) >= range.upTo) break;
  }
  return { buckets: allBuckets ? 'all' : buckets, lookups: allLookups ? 'all' : lookups };
}
