/** Facts of a replicator that has done nothing yet, for tests of what is made of them. */
import { newStreamProgress, type ReplicatorFacts, type SnapshotFacts } from '@sluice/replication';

export function noCopy(changes: Partial<SnapshotFacts> = {}): SnapshotFacts {
  return {
    rows: 0,
    bytes: 0,
    rowsPerSecond: null,
    bytesPerSecond: null,
    elapsedMs: 0,
    stages: { wait: 0, read: 0, evaluate: 0, flush: 0 },
    ops: 0,
    chunks: 0,
    discardedChunks: 0,
    activeTasks: 0,
    flushMs: 0,
    startedAtMs: null,
    tables: new Map(),
    ...changes,
  };
}

export function noStream(changes: Partial<ReplicatorFacts['stream']> = {}): ReplicatorFacts['stream'] {
  return { ...newStreamProgress(), ...changes };
}
