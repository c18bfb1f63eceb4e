/** The rules under test, and mutants: each breaks one rule, and the walk must notice. */
import { advance, type CheckpointState, commit } from '../checkpoint-state.ts';
import type { Rules } from './model.ts';

export const realRules: Rules = { advance, commit, mayCommit: () => true };

/** A commit that sees the state through `seen`, and keeps the rest of it. */
function commitSeeing(seen: (state: CheckpointState) => CheckpointState): typeof commit {
  return (state, event) => {
    const { outcome } = commit(seen(state), event);
    if (outcome.kind !== 'created') return { state, outcome };
    return { state: { ...state, checkpoint: outcome.checkpoint, keepaliveOp: null }, outcome };
  };
}

export const mutants: Readonly<Record<string, Rules>> = {
  'the op frontier is not stored': {
    ...realRules,
    advance: (state, event) => ({ ...advance(state, event), keepaliveOp: null }),
  },
  'the op frontier is not stored for copied rows': {
    ...realRules,
    advance: (state, event) => {
      const next = advance(state, event);
      return event.kind === 'flushed' && event.boundary === null ? { ...next, keepaliveOp: state.keepaliveOp } : next;
    },
  },
  'the boundary is ignored': {
    ...realRules,
    commit: commitSeeing((state) => ({ ...state, noCheckpointBefore: null })),
  },
  'a flush does not raise the boundary': {
    ...realRules,
    advance: (state, event) => advance(state, event.kind === 'flushed' ? { ...event, boundary: null } : event),
  },
  'the boundary must be passed, not reached': {
    ...realRules,
    commit: (state, event) =>
      state.noCheckpointBefore === event.position
        ? { state, outcome: { kind: 'blocked', gate: 'boundary' } }
        : commit(state, event),
  },
  'the position gate is ignored': {
    ...realRules,
    commit: commitSeeing((state) => ({ ...state, checkpoint: null })),
  },
  'the snapshot gate is ignored': {
    ...realRules,
    commit: commitSeeing((state) => ({ ...state, snapshotDone: true })),
  },
  'a blocked commit forgets the op frontier': {
    ...realRules,
    commit: (state, event) => {
      const result = commit(state, event);
      return result.outcome.kind === 'blocked' ? { ...result, state: { ...state, keepaliveOp: null } } : result;
    },
  },
  'commit before flush': { ...realRules, commitBeforeFlush: true },
  'ack before flush': { ...realRules, ackBeforeFlush: true },
  'the end of the copy is sampled before its reads': { ...realRules, sampleBeforeReading: true },
  'copied rows are not flushed': { ...realRules, skipSnapshotFlush: true },
  'copied rows replace streamed ones': { ...realRules, snapshotOverwrites: true },
  'deletes leave no tombstones': { ...realRules, noTombstones: true },
  'the gate opens while a table is pending': { ...realRules, openEarly: true },
  'a new table leaves the gate open': { ...realRules, newTableKeepsDone: true },
};

/** Of a storage that stages tables which come beside a checkpoint. */
export const stagingMutants: Readonly<Record<string, Rules>> = {
  'rows of a staged table become ops at once': { ...realRules, stagedRowsAreShown: true },
  'a part of a staged table is published with the gate open': {
    ...realRules,
    advance: (state, event) =>
      advance(state, event.kind === 'stagedPublished' ? { ...event, remaining: false } : event),
  },
  'a staged table is published before the stream has passed its copy': {
    ...realRules,
    advance: (state, event) => advance(state, event.kind === 'stagedPublished' ? { ...event, position: '' } : event),
  },
  'the ops of a staged table are not in the frontier': {
    ...realRules,
    advance: (state, event) =>
      advance(state, event.kind === 'stagedPublished' ? { ...event, headOp: state.headOp } : event),
  },
};
