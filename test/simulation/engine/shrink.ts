/** From a life that went wrong to a short one that goes wrong in the same way. */
import type { Mutant } from './life.ts';
import { liveByScript, type Outcome } from './simulate.ts';
import type { Script, Step } from './step.ts';

const LIVES_MAX = 1500;

/** Leaves out steps in ever smaller pieces, then changes of transactions, as long as the same kind of thing is wrong. */
export async function shrink(outcome: Outcome, mutant?: Mutant): Promise<Outcome> {
  const kind = kindOf(outcome.violation);
  let best = outcome;
  let lives = 0;
  const attempt = async (script: Script): Promise<boolean> => {
    if (lives++ >= LIVES_MAX) return false;
    const tried = await liveByScript(script, mutant);
    if (kindOf(tried.violation) !== kind) return false;
    best = tried;
    return true;
  };
  for (let size = best.script.steps.length >> 1; size >= 1; ) {
    const removed = await leaveOutPieces(() => best.script, size, attempt);
    if (!removed || size > 1) size = size > 1 ? size >> 1 : 0;
  }
  for (let index = 0; index < best.script.steps.length; index++) {
    for (const smaller of smallerThan(best.script.steps[index])) {
      await attempt({ ...best.script, steps: best.script.steps.with(index, smaller) });
    }
  }
  return best;
}

async function leaveOutPieces(
  script: () => Script,
  size: number,
  attempt: (script: Script) => Promise<boolean>,
): Promise<boolean> {
  let any = false;
  for (let from = script().steps.length - size; from > -size; ) {
    const { beginning, steps } = script();
    const kept = steps.filter((_, index) => index < from || index >= from + size);
    if (kept.length < steps.length && (await attempt({ beginning, steps: kept }))) any = true;
    from -= size;
  }
  return any;
}

function smallerThan(step: Step | undefined): readonly Step[] {
  if (step?.kind === 'go' && step.labels.length > 1) return step.labels.map((label) => ({ ...step, labels: [label] }));
  if (step?.kind !== 'commit') return [];
  const fewer = step.changes.map((_, index) => ({
    ...step,
    changes: step.changes.filter((_change, at) => at !== index),
  }));
  return [...fewer.filter(({ changes }) => changes.length > 0), { ...step, flushed: true }, { ...step, visible: true }];
}

/** What is wrong, without what differs from life to life. */
function kindOf(violation: string | null): string | null {
  return (
    violation
      ?.split('\n')[0]
      ?.replace(/\d[\dA-F]*/g, '#')
      .replace(/"[^"]*"/g, '""')
      .replace(/waiting:.*/, '')
      .replace(/\b(alpha|t_a|t_b|x_a)\b/g, 'table') ?? null
  );
}
