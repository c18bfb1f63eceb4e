/** Lives by seed, and lives by script: the same steps, the same life. */
import { Chooser, type Likings } from './choice.ts';
import { Life, type Mutant, type World } from './life.ts';
import { openSimulatedStorage } from './storages.ts';
import type { Script, Step } from './step.ts';
import { Violation } from './witness.ts';

export interface Outcome {
  readonly script: Script;
  /** What was wrong; null if nothing was. */
  readonly violation: string | null;
  readonly checkpoints: number;
}

export interface LifeOptions {
  readonly seed: number;
  /** In place of what the seed says. */
  readonly likings?: Partial<Likings> | undefined;
  readonly mutant?: Mutant | undefined;
}

export async function liveBySeed({ seed, likings, mutant }: LifeOptions): Promise<Outcome> {
  const chooser = new Chooser(seed, likings);
  const steps: Step[] = [];
  const choose = (life: Life) => {
    const step = chooser.next(life);
    if (step !== null) steps.push(step);
    return step;
  };
  const { violation, checkpoints } = await live({ beginning: chooser.beginning, steps }, choose, mutant);
  return { script: { beginning: chooser.beginning, steps }, violation, checkpoints };
}

export async function liveByScript(script: Script, mutant?: Mutant): Promise<Outcome> {
  let next = 0;
  return { script, ...(await live(script, () => script.steps[next++] ?? null, mutant)) };
}

async function live(
  { beginning }: Script,
  choose: (life: Life) => Step | null,
  mutant: Mutant | undefined,
): Promise<Pick<Outcome, 'violation' | 'checkpoints'>> {
  const world: World = { openStorage: openSimulatedStorage, mutant };
  const life = await Life.begin(beginning, world);
  try {
    for (let step = choose(life); step !== null; step = choose(life)) await life.step(step);
    await life.finish();
    return { violation: null, checkpoints: life.witness.checkpoints };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { violation: error.message, checkpoints: life.witness.checkpoints };
  } finally {
    await life.dispose();
  }
}
