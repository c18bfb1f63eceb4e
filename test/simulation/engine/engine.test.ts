/**
 * `SLUICE_SIM_SEED=123 npx vitest run test/simulation/engine/engine.test.ts` lives one life again; `SLUICE_SIM_LIVES` and
 * `SLUICE_SIM_FIRST` set how many lives there are, and where they begin.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sized } from '../../kit/size.ts';
import { shrink } from './shrink.ts';
import { liveByScript, liveBySeed } from './simulate.ts';
import { describeScript, type Script } from './step.ts';

const only = process.env['SLUICE_SIM_SEED'];
const lives = only === undefined ? Number(process.env['SLUICE_SIM_LIVES'] ?? sized(2_000, 100_000)) : 1;
const first = Number(only ?? process.env['SLUICE_SIM_FIRST'] ?? 1);

test(`${lives} lives from seed ${first}: every checkpoint shows the source at its position`, {
  timeout: 24 * 3_600_000,
}, async () => {
  let checkpoints = 0;
  for (let seed = first; seed < first + lives; seed++) {
    const outcome = await liveBySeed({ seed });
    checkpoints += outcome.checkpoints;
    if (outcome.violation === null) continue;
    const smallest = await shrink(outcome);
    throw new Error(
      `seed ${seed}: ${outcome.violation}\n\nshortest: ${smallest.violation}\n${describeScript(smallest.script)}`,
    );
  }
  // Most lives see checkpoints before their end: else nothing but the end would be judged.
  if (lives >= 100) expect(checkpoints).toBeGreaterThan(lives / 2);
});

test('a life is its seed: lived again, step by step the same', async () => {
  const one = await liveBySeed({ seed: 7 });
  const other = await liveBySeed({ seed: 7 });
  expect(describeScript(other.script)).toBe(describeScript(one.script));
  expect(other.checkpoints).toBe(one.checkpoints);
});

/** Shortest scripts of lives that went wrong, kept when what was wrong was mended. */
const ONCE_WRONG = join(import.meta.dirname, 'once-wrong');

test.each(readdirSync(ONCE_WRONG))('once wrong: %s', async (file) => {
  const script = JSON.parse(readFileSync(join(ONCE_WRONG, file), 'utf8')) as Script;
  const { violation } = await liveByScript(script);
  expect(violation).toBeNull();
});
