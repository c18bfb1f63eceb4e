/** Walks through every state that can be reached, breadth first, so that the first violation has a shortest trace. */
import { type Keyed, StateKeys } from './state-keys.ts';
import { initialModel, isFinal, stepsOf, type Variant, violation } from './model.ts';

export interface Walk {
  readonly states: number;
  readonly transitions: number;
  /** States in which the source's end has been checkpointed. */
  readonly finals: number;
  /** The first thing that went wrong, with the steps that led to it; null if nothing did. */
  readonly wrong: { readonly what: string; readonly trace: readonly string[] } | null;
}

interface Seen {
  readonly from: Seen | null;
  readonly step: string;
}

/** Seen, and not walked on from. */
interface Waiting {
  readonly seen: Seen;
  readonly at: Keyed;
}

/** @param options.statesMax where to stop; by default when all states have been seen */
export function walk(options: Variant & { readonly crashes: number; readonly statesMax?: number }): Walk {
  const { statesMax = Number.POSITIVE_INFINITY } = options;
  const keys = new StateKeys();
  const first: Waiting = {
    seen: { from: null, step: 'start of time' },
    at: keys.keyed(initialModel(options.crashes), null),
  };
  let waiting: Waiting[] = [first];
  const known = new Set([first.at.key]);
  let walked = 0;
  let transitions = 0;
  let finals = 0;
  const result = (what: string | null, at: Seen, step: string): Walk => ({
    states: known.size,
    transitions,
    finals,
    wrong: what === null ? null : { what, trace: [...traceOf(at), step] },
  });
  // Step by step: of states that were walked on from, nothing is kept but how they were come to.
  while (waiting.length > 0) {
    const next: Waiting[] = [];
    for (const { seen, at } of waiting) {
      if (walked++ >= statesMax) return result(null, seen, '');
      let moves = 0;
      for (const [step, after] of stepsOf(at.state, options)) {
        transitions++;
        const what = violation(at.state, after);
        if (what !== null) return result(what, seen, step);
        const reached = keys.keyed(after, at);
        if (reached.key !== at.key) moves++;
        if (known.has(reached.key)) continue;
        known.add(reached.key);
        next.push({ seen: { from: seen, step }, at: reached });
      }
      if (isFinal(at.state)) finals++;
      else if (moves === 0) return result('a dead end', seen, 'nothing left to do');
    }
    waiting = next;
  }
  return result(null, first.seen, '');
}

function traceOf(seen: Seen): string[] {
  const trace: string[] = [];
  for (let at: Seen | null = seen; at !== null; at = at.from) trace.unshift(at.step);
  return trace;
}
