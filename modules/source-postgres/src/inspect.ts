/** Gathers what a restart is decided from, at a start and every few seconds while running. Reads only. */
import { type Logger, SluiceError } from '@sluice/core';
import type { RestartDecision } from '@sluice/replication';
import type { SourceSettings } from './config.ts';
import type { Database } from './database.ts';
import { readServer, readTimelineEnds, type SavedSlot } from './lineage.ts';
import { decideRestart, type Refusal, type RestartFacts } from './restart.ts';
import { readSlot } from './slot.ts';

export interface InspectContext {
  readonly database: Database;
  readonly settings: SourceSettings;
  readonly logger: Logger;
}

/**
 * What is there of the source, now. The slot is read first, then `reach` is asked, then the server is read: so while a
 * stream runs, the slot is never ahead of what was acknowledged, nor that of where the server's history ends.
 */
export async function readFacts(
  { database, settings, logger }: InspectContext,
  saved: SavedSlot | null,
  reach: () => Promise<Pick<RestartFacts, 'durable' | 'newest' | 'asked'>>,
): Promise<RestartFacts> {
  const slot = await readSlot(database, saved?.slot ?? settings.slot);
  const reached = await reach();
  const server = await readServer(database, settings);
  const isKnown = saved === null || server.timeline === saved.timeline || server.systemId !== saved.systemId;
  const at = { where: database.where, logger };
  const ends = isKnown ? new Map<string, string>() : await readTimelineEnds(settings, server.timeline, at);
  return { ...reached, saved, server: { ...server, ends }, slot };
}

/** @throws the refusal */
export function decideOrThrow(facts: RestartFacts, where: string): RestartDecision {
  const decision = decideRestart(facts);
  if (decision.kind === 'refuse') throw failureOf(decision, where);
  return decision;
}

/** Why a stream that runs cannot go on; null if it can. */
export function streamFailure(facts: RestartFacts, where: string): SluiceError | null {
  const decision = decideRestart(facts);
  if (decision.kind === 'refuse') return failureOf(decision, where);
  if (decision.kind !== 'reconcile') return null;
  return new SluiceError('PSYNC_S1146', decision.reasons.join('; '), { where });
}

function failureOf({ code, reasons }: Refusal, where: string): SluiceError {
  return new SluiceError(code, reasons.join('; '), { where });
}
