/** Replication streams: one document each. Ids are never given twice. */
import { invariant, type StreamId } from '@sluice/core';
import {
  type CheckpointState,
  configuredAfter,
  type ConfiguredRules,
  initialCheckpointState,
  initialSnapshotControl,
  requireNewest,
  type SnapshotControl,
  type StreamInfo,
} from '@sluice/storage';
import { afterPrefix, documentKey } from './keys.ts';
import { getDocument, putDocument, type Schema, type Store } from './schema.ts';

export function listStreams({ documents }: Schema): StreamInfo[] {
  const start = documentKey('stream');
  const streams: StreamInfo[] = [];
  for (const { value } of documents.getRange({ start, end: afterPrefix(start) })) {
    streams.push(JSON.parse(value.toString()) as StreamInfo);
  }
  return streams.map((stream) => withError(documents, stream));
}

export function getStream({ documents }: Schema, id: StreamId): StreamInfo | null {
  const stream = getDocument<StreamInfo>(documents, documentKey('stream', id));
  return stream === null ? null : withError(documents, stream);
}

/** The error stands in a document of its own: it is cleared often, and rules can be long. */
function withError(documents: Store, stream: StreamInfo): StreamInfo {
  return { ...stream, error: getDocument<StreamInfo['error']>(documents, documentKey('error', stream.id)) };
}

export function putError({ documents }: Schema, id: StreamId, error: StreamInfo['error']): void {
  if (error === null) documents.removeSync(documentKey('error', id));
  else putDocument(documents, documentKey('error', id), error);
}

export function requireStream(schema: Schema, id: StreamId): StreamInfo {
  const stream = getStream(schema, id);
  invariant(stream !== null, `there is no stream ${id}`);
  return stream;
}

export function putStream({ documents }: Schema, stream: StreamInfo): void {
  putDocument(documents, documentKey('stream', stream.id), stream);
}

export function createStream(
  schema: Schema,
  { rules, createdAtMs, after }: { rules: string; createdAtMs: number; after: StreamId | null | undefined },
): StreamInfo {
  const { documents } = schema;
  requireNewest(listStreams(schema), after);
  const id = (getDocument<number>(documents, documentKey('streamCount')) ?? 0) + 1;
  putDocument(documents, documentKey('streamCount'), id);
  stopOthers(schema, 'processing', id);
  const stream: StreamInfo = { id, lifecycle: 'processing', rules, createdAtMs, error: null, source: null };
  putStream(schema, stream);
  putCheckpointState(schema, id, initialCheckpointState);
  return stream;
}

/** @returns false if it was active already */
export function activate(schema: Schema, id: StreamId): boolean {
  const stream = requireStream(schema, id);
  if (stream.lifecycle === 'active') return false;
  stopOthers(schema, 'active', id);
  putStream(schema, { ...stream, lifecycle: 'active' });
  return true;
}

function stopOthers(schema: Schema, lifecycle: StreamInfo['lifecycle'], except: StreamId): void {
  for (const stream of listStreams(schema)) {
    if (stream.id !== except && stream.lifecycle === lifecycle) putStream(schema, { ...stream, lifecycle: 'stopped' });
  }
}

export function getConfigured({ documents }: Schema): readonly ConfiguredRules[] {
  return getDocument<readonly ConfiguredRules[]>(documents, documentKey('configured')) ?? [];
}

export function putConfigured(schema: Schema, entry: { process: string; hash: string | null }): void {
  putDocument(schema.documents, documentKey('configured'), configuredAfter(getConfigured(schema), entry));
}

export function getCheckpointState({ documents }: Schema, id: StreamId): CheckpointState {
  return getDocument<CheckpointState>(documents, documentKey('checkpoint', id)) ?? initialCheckpointState;
}

export function putCheckpointState({ documents }: Schema, id: StreamId, state: CheckpointState): void {
  putDocument(documents, documentKey('checkpoint', id), state);
}

export function getSnapshotControl({ documents }: Schema, id: StreamId): SnapshotControl {
  return getDocument<SnapshotControl>(documents, documentKey('snapshotControl', id)) ?? initialSnapshotControl;
}

export function putSnapshotControl({ documents }: Schema, id: StreamId, control: SnapshotControl): void {
  putDocument(documents, documentKey('snapshotControl', id), control);
}

/** Numbers that are given out per stream. */
export interface Counters {
  readonly tables: number;
  readonly buckets: number;
  /** Writers for copies alone; absent while there was none. */
  readonly copyWriters?: number;
}

export function getCounters({ documents }: Schema, id: StreamId): Counters {
  return getDocument<Counters>(documents, documentKey('counters', id)) ?? { tables: 0, buckets: 0 };
}

export function putCounters({ documents }: Schema, id: StreamId, counters: Counters): void {
  putDocument(documents, documentKey('counters', id), counters);
}
