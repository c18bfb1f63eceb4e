/** One replicator in this process, from its start until a condition holds. */
import { type Position, silentLogger, systemClock, systemRandom } from '@sluice/core';
import { Replicator, type ReplicatorFacts } from '@sluice/replication';
import { createPostgresSource } from '@sluice/source-postgres';
import type { BucketStorage, StreamInfo, StreamReader } from '@sluice/storage';
import { parseSyncRules } from '@sluice/sync-rules';

export interface ReplicationRun {
  readonly uri: string;
  readonly slot: string;
  readonly rules: string;
  readonly storage: BucketStorage;
  readonly stream: StreamInfo;
  /** Ends the run when a checkpoint is at or behind this position; null for the first checkpoint. */
  readonly until: Position | null;
  /** Snapshot tasks read at once. Default 4. */
  readonly concurrency?: number;
}

export interface RunResult {
  /** From the call to the wanted checkpoint, connecting included. */
  readonly seconds: number;
  readonly facts: ReplicatorFacts;
}

const POLL_MS = 5;

export async function replicateUntil(run: ReplicationRun): Promise<RunResult> {
  const { rules } = parseSyncRules(run.rules, { defaultSchema: 'public' });
  if (rules === null) throw new Error('the rules do not parse');
  const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const source = createPostgresSource({ uri: run.uri, sslmode: 'disable', slotName: run.slot }, tools);
  const { storage, stream } = run;
  const stop = new AbortController();
  const startedAt = performance.now();
  const ports = { stream, rules, storage, source, clock: systemClock, random: systemRandom, logger: silentLogger };
  const replicator = new Replicator({ ...ports, owner: `bench ${process.pid}`, concurrency: run.concurrency ?? 4 });
  const over = new Error('over');
  const ended = replicator.run(stop.signal).catch((error: unknown) => {
    if (error !== over) throw error;
  });
  try {
    await Promise.race([reached(storage.reader(stream.id), run.until), ended]);
    return { seconds: (performance.now() - startedAt) / 1000, facts: replicator.facts() };
  } finally {
    stop.abort(over);
    await ended;
    await source.close();
  }
}

async function reached(reader: StreamReader, until: Position | null): Promise<void> {
  for (;;) {
    const checkpoint = await reader.checkpoint();
    if (checkpoint !== null && (until === null || checkpoint.position >= until)) return;
    await systemClock.sleep(POLL_MS);
  }
}

/** A position as the Postgres source encodes it, from an LSN as Postgres prints it. */
export function positionOf(lsn: string): Position {
  return lsn
    .split('/')
    .map((half) => half.padStart(8, '0'))
    .join('')
    .toUpperCase();
}
