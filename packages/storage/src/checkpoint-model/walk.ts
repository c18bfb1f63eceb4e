/** Walks through every state that can be reached, breadth first, so that the first violation has a shortest trace. */
import { initialModel, isFinal, type ModelState, stepsOf, type Variant, violation } from './model.ts';

export interface Walk {
  readonly states: number;
  readonly transitions: number;
  /** States in which the source's end has been checkpointed. */
  readonly finals: number;
  /** The first thing that went wrong, with the steps that led to it; null if nothing did. */
  readonly wrong: { readonly what: string; readonly trace: readonly string[] } | null;
}

interface Seen {
  readonly state: ModelState;
  readonly key: string;
  readonly from: Seen | null;
  readonly step: string;
}

/** @param options.statesMax where to stop; by default when all states have been seen */
export function walk(options: Variant & { readonly crashes: number; readonly statesMax?: number }): Walk {
  const { statesMax = Number.POSITIVE_INFINITY } = options;
  const state = initialModel(options.crashes);
  const first: Seen = { state, key: keyOf(state), from: null, step: 'start of time' };
  const queue: Seen[] = [first];
  const known = new Set([first.key]);
  let transitions = 0;
  let finals = 0;
  const result = (what: string | null, at: Seen, step: string): Walk => ({
    states: known.size,
    transitions,
    finals,
    wrong: what === null ? null : { what, trace: [...traceOf(at), step] },
  });
  for (let next = 0; next < queue.length && next < statesMax; next++) {
    const seen = queue[next] as Seen;
    let moves = 0;
    for (const [step, state] of stepsOf(seen.state, options)) {
      transitions++;
      const what = violation(seen.state, state);
      if (what !== null) return result(what, seen, step);
      const key = keyOf(state);
      if (key !== seen.key) moves++;
      if (known.has(key)) continue;
      known.add(key);
      queue.push({ state, key, from: seen, step });
    }
    if (isFinal(seen.state)) finals++;
    else if (moves === 0) return result('a dead end', seen, 'nothing left to do');
  }
  return result(null, first, '');
}

/** Op ids are counted from the checkpoint: states that differ only in how many ops lie behind them are one state. */
function keyOf(state: ModelState): string {
  const { law, tables, reading } = state;
  const base = law.checkpoint?.opId ?? 0;
  let key = `${state.head} ${state.acked} ${state.crashesLeft} ${state.up} ${state.position} ${state.flushedRows}`;
  key += ` ${law.snapshotDone} ${law.noCheckpointBefore} ${law.checkpoint?.position} ${law.headOp - base}`;
  key += ` ${law.keepaliveOp === null ? '' : law.keepaliveOp - base}`;
  for (const name of TABLES) {
    key += ` ${tables[name].snapshot} ${tables[name].copied} ${tables[name].visibility} ${tables[name].end} ${reading[name].value} ${reading[name].end}`;
  }
  key += ` ${state.staged}`;
  for (const row of ROWS) key += ` ${state.records[row]} ${state.visible[row]}`;
  for (const op of state.ops) key += ` ${op.table}${op.key}${op.value}`;
  return key;
}

const TABLES = ['A', 'B'] as const;
const ROWS = ['A1', 'A2', 'B1', 'B2'];

function traceOf(seen: Seen): string[] {
  const trace: string[] = [];
  for (let at: Seen | null = seen; at !== null; at = at.from) trace.unshift(at.step);
  return trace;
}
