/** The end of a stream: its data in bounded transactions, the stream itself in the last one. */
import { invariant, type StreamId } from '@sluice/core';
import { atomically } from './atomically.ts';
import { documentKey, streamPrefix } from './keys.ts';
import type { Schema, Store } from './schema.ts';
import { getStream } from './streams.ts';
import { removePrefix, removeSome } from './table-records.ts';

/** Keys of one transaction. */
const BATCH = 5_000;

/**
 * Data goes first and the stream's own document last, so that a drop that was broken off can be done again.
 * Idempotent.
 */
export async function dropStream(schema: Schema, id: StreamId): Promise<void> {
  const isThere = await atomically(schema, () => {
    const stream = getStream(schema, id);
    invariant(stream === null || stream.lifecycle === 'stopped', `stream ${id} is not stopped`);
    return stream !== null;
  });
  if (!isThere) return;
  const { ops, records, index, indexJournal, lookups, changes, buckets, partials, tombstones } = schema;
  for (const store of [ops, records, index, indexJournal, lookups, changes, buckets, partials, tombstones]) {
    await removeAll(schema, store, streamPrefix(id));
  }
  await atomically(schema, () => removeDocuments(schema, id));
}

async function removeAll(schema: Schema, store: Store, prefix: Buffer): Promise<void> {
  let removed = 0;
  do {
    removed = await atomically(schema, () => removeSome(store, prefix, BATCH));
  } while (removed === BATCH);
}

function removeDocuments({ documents }: Schema, id: StreamId): void {
  for (const kind of ['table', 'task', 'tableSpace', 'indexJournal', 'copyWriter'] as const)
    removePrefix(documents, documentKey(kind, id));
  const kinds = [
    'checkpoint',
    'lease',
    'counters',
    'error',
    'changeLog',
    'snapshotControl',
    'tablesStamp',
    'copies',
    'stream',
  ] as const;
  for (const kind of kinds) documents.removeSync(documentKey(kind, id));
}
