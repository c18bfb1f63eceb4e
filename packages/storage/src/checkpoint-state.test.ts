/** The whole table: every class of state meets every event, against expectations that are written down, not computed. */
import { describe, expect, test } from 'vitest';
import {
  advance,
  type CheckpointState,
  closedGate,
  commit,
  type Gate,
  initialCheckpointState,
} from './checkpoint-state.ts';

/** The position of the event under test; state positions lie before, at or behind it. */
const HERE = '05';
const PLACES = { none: null, before: '03', here: HERE, behind: '07' } as const;
type Place = keyof typeof PLACES;
const PLACE_NAMES = ['none', 'before', 'here', 'behind'] as const;

interface StateClass {
  readonly snapshotDone: boolean;
  readonly boundary: Place;
  readonly checkpoint: Place;
  readonly hasOps: boolean;
}

const classes: StateClass[] = [false, true].flatMap((snapshotDone) =>
  PLACE_NAMES.flatMap((boundary) =>
    PLACE_NAMES.flatMap((checkpoint) =>
      [false, true].map((hasOps) => ({ snapshotDone, boundary, checkpoint, hasOps })),
    ),
  ),
);

function stateOf({ snapshotDone, boundary, checkpoint, hasOps }: StateClass): CheckpointState {
  const position = PLACES[checkpoint];
  return {
    snapshotDone,
    noCheckpointBefore: PLACES[boundary],
    keepaliveOp: hasOps ? 12 : null,
    headOp: 12,
    durable: '04',
    checkpoint: position === null ? null : { opId: hasOps ? 10 : 12, position },
  };
}

function nameOf(state: StateClass): string {
  const copy = state.snapshotDone ? 'copied' : 'copying';
  return `${copy}, boundary ${state.boundary}, checkpoint ${state.checkpoint}, ${state.hasOps ? 'ops' : 'no ops'}`;
}

/** boundary × checkpoint of a copied stream: which gate is closed. */
const GATES: Record<Place, Record<Place, Gate | null>> = {
  none: { none: null, before: null, here: null, behind: 'position' },
  before: { none: null, before: null, here: null, behind: 'position' },
  here: { none: null, before: null, here: null, behind: 'position' },
  behind: { none: 'boundary', before: 'boundary', here: 'boundary', behind: 'boundary' },
};

/** checkpoint of an open stream without new ops: what a commit does, without and with empty checkpoints. */
const EMPTY_COMMITS: Record<Exclude<Place, 'behind'>, readonly ['created' | 'unchanged', 'created' | 'unchanged']> = {
  none: ['created', 'created'],
  before: ['unchanged', 'created'],
  here: ['unchanged', 'unchanged'],
};

describe('commit', () => {
  test.each(classes.map((state) => [nameOf(state), state] as const))('%s', (_, stateClass) => {
    const state = stateOf(stateClass);
    const gate = stateClass.snapshotDone ? GATES[stateClass.boundary][stateClass.checkpoint] : 'snapshot';
    expect(closedGate(state, HERE)).toBe(gate);
    for (const createEmpty of [false, true]) {
      const result = commit(state, { position: HERE, createEmpty });
      if (gate !== null) {
        expect(result).toEqual({ state: { ...state, durable: HERE }, outcome: { kind: 'blocked', gate } });
        continue;
      }
      const place = stateClass.checkpoint as Exclude<Place, 'behind'>;
      const kind = stateClass.hasOps ? 'created' : EMPTY_COMMITS[place][createEmpty ? 1 : 0];
      expect(result.outcome.kind).toBe(kind);
      if (kind === 'unchanged') {
        expect(result.state).toEqual({ ...state, durable: HERE });
        continue;
      }
      const opId = stateClass.hasOps || place !== 'none' ? 12 : 0;
      expect(result.state).toEqual({
        ...state,
        durable: HERE,
        keepaliveOp: null,
        checkpoint: { opId, position: HERE },
      });
    }
  });

  test('what is durable never falls', () => {
    const state = { ...initialCheckpointState, durable: '07' };
    expect(commit(state, { position: HERE, createEmpty: true }).state).toBe(state);
  });

  test('the very first checkpoint may be empty', () => {
    const open = advance(initialCheckpointState, { kind: 'allSnapshotsDone', position: HERE });
    const { outcome } = commit(open, { position: HERE, createEmpty: false });
    expect(outcome).toEqual({ kind: 'created', checkpoint: { opId: 0, position: HERE } });
  });
});

/** Position of the state's boundary × that of the event: the boundary afterwards. */
const RAISED: Record<Place, string> = { none: HERE, before: HERE, here: HERE, behind: '07' };

describe.each(classes.map((state) => [nameOf(state), state] as const))('%s', (_, stateClass) => {
  const state = stateOf(stateClass);
  const raised = RAISED[stateClass.boundary];

  test('flushed with ops raises head, frontier and boundary', () => {
    expect(advance(state, { kind: 'flushed', headOp: 15, boundary: HERE })).toEqual({
      ...state,
      headOp: 15,
      keepaliveOp: 15,
      noCheckpointBefore: raised,
    });
  });

  test('flushed without ops raises the boundary alone', () => {
    expect(advance(state, { kind: 'flushed', headOp: 12, boundary: HERE })).toEqual({
      ...state,
      noCheckpointBefore: raised,
    });
  });

  test('copied rows raise head and frontier alone', () => {
    expect(advance(state, { kind: 'flushed', headOp: 15, boundary: null })).toEqual({
      ...state,
      headOp: 15,
      keepaliveOp: 15,
    });
  });

  test('the end of a copy raises the boundary and opens nothing', () => {
    expect(advance(state, { kind: 'tableSnapshotDone', position: HERE })).toEqual({
      ...state,
      noCheckpointBefore: raised,
    });
  });

  test('published staged rows raise head, frontier and boundary, and close the gate while some remain', () => {
    for (const remaining of [false, true]) {
      expect(advance(state, { kind: 'stagedPublished', headOp: 15, position: HERE, remaining })).toEqual({
        ...state,
        headOp: 15,
        keepaliveOp: 15,
        noCheckpointBefore: raised,
        snapshotDone: remaining ? false : state.snapshotDone,
      });
    }
  });

  test('a table that must be copied closes the gate and takes nothing back', () => {
    expect(advance(state, { kind: 'tableSnapshotRequired' })).toEqual({ ...state, snapshotDone: false });
  });

  test('the end of all copies opens the gate and raises the boundary', () => {
    expect(advance(state, { kind: 'allSnapshotsDone', position: HERE })).toEqual({
      ...state,
      snapshotDone: true,
      noCheckpointBefore: raised,
    });
  });
});
