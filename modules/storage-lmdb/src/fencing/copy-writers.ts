/**
 * Who copies beside the stream's writer. One that died is struck off by whoever wants what it had: from then on it can
 * write nothing, should it only have seemed to be dead.
 */
import { SluiceError, type StreamId } from '@sluice/core';
import { type Holder, isAlive, type Opened, thisProcess } from './holder.ts';
import { afterPrefix, documentKey } from '../keys.ts';
import { livingWriter } from './lease.ts';
import { getDocument, putDocument, type Schema } from '../schema.ts';
import { getCounters, putCounters } from '../streams.ts';

export interface CopyWriterRef {
  readonly number: number;
  readonly claimant: string;
}

interface Stored extends CopyWriterRef {
  readonly holder: Holder;
}

/** Inside a transaction. */
export function addCopyWriter(schema: Schema, stream: StreamId, opened: Opened): CopyWriterRef {
  strikeOffTheDead(schema, stream);
  const counters = getCounters(schema, stream);
  const number = (counters.copyWriters ?? 0) + 1;
  putCounters(schema, stream, { ...counters, copyWriters: number });
  const claimant = `${opened.owner}, copier ${number}`;
  const stored: Stored = { number, claimant, holder: thisProcess(opened) };
  putDocument(schema.documents, documentKey('copyWriter', stream, number), stored);
  return { number, claimant };
}

/** Inside every transaction of one. @throws SLU_R1108 */
export function assertCopyWriter({ documents }: Schema, stream: StreamId, { number, claimant }: CopyWriterRef): void {
  if (getDocument(documents, documentKey('copyWriter', stream, number)) !== null) return;
  throw new SluiceError('SLU_R1108', `stream ${stream}: ${claimant} was taken for dead`);
}

export function removeCopyWriter({ documents }: Schema, stream: StreamId, number: number): void {
  documents.removeSync(documentKey('copyWriter', stream, number));
}

/** Inside a transaction. */
export function strikeOffTheDead(schema: Schema, stream: StreamId): void {
  for (const { number, holder } of listCopyWriters(schema, stream)) {
    if (!isAlive(holder)) removeCopyWriter(schema, stream, number);
  }
}

/** Everybody who may have claimed a task, and is alive. */
export function livingClaimants(schema: Schema, stream: StreamId): ReadonlySet<string> {
  const copiers = listCopyWriters(schema, stream).filter(({ holder }) => isAlive(holder));
  const writer = livingWriter(schema, stream);
  return new Set([...copiers.map(({ claimant }) => claimant), ...(writer === null ? [] : [writer])]);
}

function listCopyWriters({ documents }: Schema, stream: StreamId): Stored[] {
  const start = documentKey('copyWriter', stream);
  const found: Stored[] = [];
  for (const { value } of documents.getRange({ start, end: afterPrefix(start) })) {
    found.push(JSON.parse(value.toString()) as Stored);
  }
  return found;
}

/** Changes with every chunk that is stored by another than the stream's writer. */
export function copiesOfOthers({ documents }: Schema, stream: StreamId): number {
  return getDocument<number>(documents, documentKey('copies', stream)) ?? 0;
}

export function countCopyOfOthers(schema: Schema, stream: StreamId): void {
  putDocument(schema.documents, documentKey('copies', stream), copiesOfOthers(schema, stream) + 1);
}
