/**
 * The law of checkpoints: one pure, total table from (state, event) to (state, outcome). Every adapter keeps this state
 * in one durable row per stream and changes it only through these functions, inside the storage transaction that makes
 * the event true. Reasons and counterexamples: docs/decisions/0002-checkpoint-law.md; model check: checkpoint-model.test.ts.
 */
import { type Checkpoint, maxPosition, type OpId, type Position } from '@sluice/core';

export interface CheckpointState {
  /** Gate 1. Every table that must be copied has been copied. Set only by `allSnapshotsDone`. */
  readonly snapshotDone: boolean;
  /** Gate 2, the position boundary: no checkpoint may carry a lower position. Only rises. */
  readonly noCheckpointBefore: Position | null;
  /** The op frontier: highest durable op that no checkpoint covers yet; null if all are covered. */
  readonly keepaliveOp: OpId | null;
  /** Highest op id ever given out; 0 before the first. Only rises. */
  readonly headOp: OpId;
  /**
   * Everything up to here is durable, visible or not: what the source may be told, and never more. At a restart it is
   * what the source's memory of us is compared with.
   */
  readonly durable: Position | null;
  /** What clients may see. Gate 3: its position never falls, nor does its op. */
  readonly checkpoint: Checkpoint | null;
}

export const initialCheckpointState: CheckpointState = {
  snapshotDone: false,
  noCheckpointBefore: null,
  keepaliveOp: null,
  headOp: 0,
  durable: null,
  checkpoint: null,
};

export type CheckpointEvent =
  /** Rows became durable in this very transaction. `boundary`: the flushed source transaction's, null for copied rows. */
  | { readonly kind: 'flushed'; readonly headOp: OpId; readonly boundary: Position | null }
  /** A table's copy ended; `position` was sampled in the source after its last read. */
  | { readonly kind: 'tableSnapshotDone'; readonly position: Position }
  /**
   * Staged rows of a table became ops in this very transaction. `position`: where its copy ended. If some remain, nothing
   * may be published before they are.
   */
  | {
      readonly kind: 'stagedPublished';
      readonly headOp: OpId;
      readonly position: Position;
      readonly remaining: boolean;
    }
  /** A table must be copied (again). */
  | { readonly kind: 'tableSnapshotRequired' }
  /** No table is pending (the caller has checked it in this transaction). */
  | { readonly kind: 'allSnapshotsDone'; readonly position: Position }
  /** The stream stands at a source transaction's end (or, idle, behind one). A commit and a keepalive are one act. */
  | { readonly kind: 'commit'; readonly position: Position; readonly createEmpty: boolean };

export type Gate = 'snapshot' | 'boundary' | 'position';

export type CommitOutcome =
  /** A new checkpoint (perhaps only a new position). */
  | { readonly kind: 'created'; readonly checkpoint: Checkpoint }
  /** Nothing to publish, and empty checkpoints were not asked for. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'blocked'; readonly gate: Gate };

/** The first gate that would hold a commit at `position` back; null if none. */
export function closedGate(state: CheckpointState, position: Position): Gate | null {
  if (!state.snapshotDone) return 'snapshot';
  if (state.noCheckpointBefore !== null && state.noCheckpointBefore > position) return 'boundary';
  if (state.checkpoint !== null && state.checkpoint.position > position) return 'position';
  return null;
}

type SilentEvent = Exclude<CheckpointEvent, { kind: 'commit' }>;

/** Total over all states and events but `commit`, which has an outcome and a function of its own. */
export function advance(state: CheckpointState, event: SilentEvent): CheckpointState {
  switch (event.kind) {
    case 'flushed':
      return {
        ...state,
        headOp: Math.max(state.headOp, event.headOp),
        keepaliveOp: event.headOp > state.headOp ? event.headOp : state.keepaliveOp,
        noCheckpointBefore: maxPosition(state.noCheckpointBefore, event.boundary),
      };
    case 'stagedPublished': {
      const { headOp, position, remaining } = event;
      const next = advance(state, { kind: 'flushed', headOp, boundary: position });
      return remaining ? { ...next, snapshotDone: false } : next;
    }
    case 'tableSnapshotDone':
      return { ...state, noCheckpointBefore: maxPosition(state.noCheckpointBefore, event.position) };
    case 'tableSnapshotRequired':
      return { ...state, snapshotDone: false };
    case 'allSnapshotsDone':
      return {
        ...state,
        snapshotDone: true,
        noCheckpointBefore: maxPosition(state.noCheckpointBefore, event.position),
      };
  }
}

/** The one way to a checkpoint. Total. */
export function commit(
  before: CheckpointState,
  event: { readonly position: Position; readonly createEmpty: boolean },
): { readonly state: CheckpointState; readonly outcome: CommitOutcome } {
  const durable = maxPosition(before.durable, event.position);
  const state = durable === before.durable ? before : { ...before, durable };
  const gate = closedGate(state, event.position);
  if (gate !== null) return { state, outcome: { kind: 'blocked', gate } };
  const hasNews = state.checkpoint === null || state.keepaliveOp !== null;
  if (!hasNews && (!event.createEmpty || state.checkpoint?.position === event.position)) {
    return { state, outcome: { kind: 'unchanged' } };
  }
  const opId = Math.max(state.checkpoint?.opId ?? 0, state.keepaliveOp ?? 0);
  const checkpoint: Checkpoint = { opId, position: event.position };
  return { state: { ...state, checkpoint, keepaliveOp: null }, outcome: { kind: 'created', checkpoint } };
}
