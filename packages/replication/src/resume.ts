/**
 * The first thing an attempt does: decides with the source how to go on, and brings storage and source to where both
 * follow one history. If changes are missing in between, the order is: tombstones of the old history go, a new start is
 * made in the source, and one storage transaction sends all tables to be compared and keeps the new start. A crash before
 * that transaction leads to the same decision again (docs/decisions/0010-lost-history.md).
 */
import { isDeepStrictEqual } from 'node:util';
import { type Logger, maxPosition, SluiceError, type StreamId } from '@sluice/core';
import type { BucketStorage, JsonValue, StreamReader, StreamWriter } from '@sluice/storage';
import type { ChangeSource, OpenedSource, Reached, RestartDecision } from './change-source.ts';

const TOMBSTONES_LIMIT = 2000;

interface ResumePorts {
  readonly source: ChangeSource;
  readonly storage: BucketStorage;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly id: StreamId;
  readonly logger: Logger;
}

export async function resume(ports: ResumePorts): Promise<RestartDecision> {
  const { source, reader, writer, logger } = ports;
  const saved = await savedSource(ports);
  const { compare: asked } = await reader.snapshotControl();
  const decision = await source.inspect({ saved, asked, reached: () => reached(reader) });
  const opened = await openAs(decision, { source, writer, saved });
  // All rows of a first copy are read anyway.
  if (asked) await ports.storage.controlSnapshot(ports.id, [{ kind: 'compare', wanted: false }]);
  const { kind, reasons } = decision;
  const facts = { decision: kind, reasons, start: opened.startPosition };
  if (kind === 'reconcile')
    logger.warn(facts, 'changes were missed: all rows are compared; clients keep what they have');
  else logger.info(facts, 'source opened');
  return decision;
}

async function openAs(
  { kind }: RestartDecision,
  { source, writer, saved }: Pick<ResumePorts, 'source' | 'writer'> & { readonly saved: JsonValue | null },
): Promise<OpenedSource> {
  if (kind === 'reconcile') {
    while ((await writer.dropTombstones(TOMBSTONES_LIMIT)).remaining);
    await source.teardown(saved);
    const opened = await source.open(null);
    await writer.beginHistory(opened.saved);
    return opened;
  }
  const opened = await source.open(saved);
  if (!isDeepStrictEqual(opened.saved, saved)) await writer.saveSourceState(opened.saved);
  return opened;
}

/** What storage has come to, now. */
export async function reached(reader: StreamReader): Promise<Reached> {
  const { durable, noCheckpointBefore, checkpoint } = await reader.checkpointState();
  return { durable, newest: maxPosition(noCheckpointBefore, checkpoint?.position ?? null) };
}

/** Where a stream is stored. */
export type StreamPlace = Pick<ResumePorts, 'storage' | 'id'>;

/** Who replicates reads it under the lease: what was read before may be older than what the last holder left. */
export async function savedSource({ storage, id }: StreamPlace): Promise<JsonValue | null> {
  const current = (await storage.listStreams()).find((candidate) => candidate.id === id);
  if (current === undefined) throw new SluiceError('SLU_X0001', `stream ${id} is not stored any more`);
  return current.source;
}
