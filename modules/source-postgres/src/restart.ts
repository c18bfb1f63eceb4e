/**
 * How replication may go on from what is stored: one pure decision over facts. The table of its cases is
 * restart.test.ts; the reasons are docs/decisions/0010-lost-history.md.
 */
import { type ErrorCode, maxPosition, type Position } from '@sluice/core';
import type { RestartDecision } from '@sluice/replication';
import type { SavedSlot, Server } from './lineage.ts';
import { lsnOfPosition } from './position.ts';
import type { SlotState } from './slot.ts';

export interface RestartFacts {
  /** What `open` handed out; null at the first start. */
  readonly saved: SavedSlot | null;
  /** Everything up to here is durable in storage; null before the first commit. */
  readonly durable: Position | null;
  /** Nothing in storage was read behind this position; null while nothing was read. */
  readonly newest: Position | null;
  readonly server: Server;
  /** The slot of the saved name; null if there is none. */
  readonly slot: SlotState | null;
  /** Whether an operator wants all rows compared. */
  readonly asked: boolean;
}

export interface Refusal {
  readonly kind: 'refuse';
  readonly code: ErrorCode;
  readonly reasons: readonly string[];
}

export function decideRestart(facts: RestartFacts): RestartDecision | Refusal {
  const { saved, server } = facts;
  if (saved === null) return { kind: 'full', reasons: ['nothing is stored of the source yet'] };
  const refusal = refusalOf(saved, facts);
  if (refusal !== null) return refusal;
  const gaps = [...gapsOf(saved, facts), ...(facts.asked ? ['an operator asked for it'] : [])];
  if (gaps.length > 0) return { kind: 'reconcile', reasons: gaps };
  if (server.timeline === saved.timeline) return { kind: 'continue', reasons: [`slot ${saved.slot} is as we left it`] };
  const change = `timeline ${saved.timeline} became ${server.timeline} at ${endOf(saved, server) ?? '?'}`;
  return { kind: 'partial', reasons: [`${change}, behind all that was read, and the slot came along`] };
}

/** What must not be written to: it is not the source that the rows came from, or it has lost what was read. */
function refusalOf(saved: SavedSlot, { server, slot, durable, newest }: RestartFacts): Refusal | null {
  const refuse = (code: ErrorCode, reason: string): Refusal => ({ kind: 'refuse', code, reasons: [reason] });
  if (server.systemId !== saved.systemId) {
    return refuse('SLU_S1150', `cluster ${server.systemId} answers; the rows came from cluster ${saved.systemId}`);
  }
  if (!isSameDatabase(saved, server)) {
    return refuse('SLU_S1150', `database ${server.database} answers; the rows came from database ${saved.database}`);
  }
  const isOld = Number(server.timeline) < Number(saved.timeline);
  if (isOld || (server.timeline !== saved.timeline && !server.ends.has(saved.timeline))) {
    const what = isOld ? 'which was left for' : 'which does not descend from';
    return refuse('SLU_S1150', `timeline ${server.timeline} answers, ${what} timeline ${saved.timeline}`);
  }
  // What a crash of the server takes back was written there, but neither flushed nor streamed: `newest` may lie in it.
  const isSame = server.timeline === saved.timeline;
  const read = isSame ? reachedOf(saved, durable) : readOf(saved, { durable, newest });
  if (server.head < read) {
    const reason = `its history ends at ${lsnOfPosition(server.head)}, before what was read of it (${lsnOfPosition(read)})`;
    // On a new timeline the rows are compared once it has come that far; on the same one, nobody could tell by then.
    return refuse(isSame ? 'SLU_S1150' : 'SLU_S1158', reason);
  }
  if (slot !== null && (slot.plugin !== 'pgoutput' || slot.database !== server.database)) {
    const whose = slot.plugin === '' ? 'a physical one' : `of plugin ${slot.plugin}, database ${slot.database}`;
    return refuse('SLU_S1157', `slot ${saved.slot} is not ours by now: it is ${whose}`);
  }
  return null;
}

function isSameDatabase(saved: SavedSlot, server: Server): boolean {
  if (saved.databaseId !== null && server.databaseId !== null) return saved.databaseId === server.databaseId;
  return saved.database === server.database;
}

/** Why changes are missing between what was read and what the stream would bring. */
function gapsOf(saved: SavedSlot, { server, slot, durable, newest }: RestartFacts): string[] {
  const reached = reachedOf(saved, durable);
  const gaps: string[] = [];
  const end = server.timeline === saved.timeline ? null : (server.ends.get(saved.timeline) ?? null);
  if (end !== null && end < readOf(saved, { durable, newest })) {
    gaps.push(`timeline ${saved.timeline} ended at ${lsnOfPosition(end)}; what was read behind it never happened`);
  }
  if (saved.publicationId !== null && server.publicationId !== saved.publicationId) {
    gaps.push('the publication was made anew; changes made without it are not published');
  }
  if (slot === null) gaps.push(`slot ${saved.slot} does not exist any more`);
  else if (slot.walStatus === 'lost' || slot.invalidationReason !== null) {
    gaps.push(`slot ${saved.slot} was given up: ${describeLoss(slot.invalidationReason)}`);
  } else if (slot.confirmed !== null && slot.confirmed > reached) {
    const where = `${lsnOfPosition(slot.confirmed)}, and ${lsnOfPosition(reached)} is stored`;
    gaps.push(`slot ${saved.slot} stands at ${where}: it was made anew or moved, or the storage is an old one`);
  }
  return gaps;
}

function reachedOf(saved: SavedSlot, durable: Position | null): Position {
  return maxPosition(durable, saved.startPosition) ?? saved.startPosition;
}

function readOf(saved: SavedSlot, { durable, newest }: Pick<RestartFacts, 'durable' | 'newest'>): Position {
  const reached = reachedOf(saved, durable);
  return maxPosition(reached, newest) ?? reached;
}

function endOf(saved: SavedSlot, server: Server): string | null {
  const end = server.ends.get(saved.timeline);
  return end === undefined ? null : lsnOfPosition(end);
}

function describeLoss(reason: string | null): string {
  switch (reason ?? '') {
    case 'wal_removed':
      return 'it fell behind by more than max_slot_wal_keep_size, and the server removed the WAL it needs';
    case 'idle_timeout':
      return 'it was idle for longer than idle_replication_slot_timeout';
    case 'rows_removed':
      return 'the server removed rows that it needs';
    case 'wal_level_insufficient':
      return 'wal_level was lowered below logical';
    case '':
      // Before version 17 the server does not say; there is hardly another reason.
      return 'most likely it fell behind by more than max_slot_wal_keep_size';
    default:
      return `the server says ${reason}`;
  }
}
