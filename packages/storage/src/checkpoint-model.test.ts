/** The law of checkpoints holds in every interleaving of a small world, and every rule of it is needed there. */
import { describe, expect, test } from 'vitest';
import { mutants, realRules, stagingMutants } from './checkpoint-model/rules.ts';
import { walk } from './checkpoint-model/walk.ts';

const CRASHES = Number(process.env['SLUICE_MODEL_CRASHES'] ?? 1);
/** A walk is nothing but computing: how long it takes says how busy the machine is, and nothing of the law. */
const LONG_WALK = { timeout: 300_000 };

describe('every interleaving', () => {
  // With one crash, the number of states is known: a key that told two of them from one another no more would show.
  test.each([
    ['copy before stream', false, false, 27_073],
    ['copy beside stream', true, false, 388_777],
    ['a new table staged', true, true, 453_907],
  ])('%s', LONG_WALK, (_, concurrent, staging, all) => {
    const { states, finals, wrong } = walk({ concurrent, staging, crashes: CRASHES, rules: realRules });
    expect(wrong).toBeNull();
    if (CRASHES === 1) expect(states).toBe(all);
    else expect(states).toBeGreaterThan(1_000);
    expect(finals).toBeGreaterThan(0);
  });
});

describe('mutants are killed', () => {
  test.each(Object.entries(mutants))('%s', LONG_WALK, (_, rules) => {
    const { wrong } = walk({ concurrent: true, crashes: 1, rules, statesMax: 30_000 });
    // Rules that hold too much back show late: as dead ends, once all of the smaller walk has been seen.
    expect(wrong ?? walk({ concurrent: true, crashes: 0, rules }).wrong).not.toBeNull();
  });

  test.each(Object.entries(stagingMutants))('%s', LONG_WALK, (_, rules) => {
    const { wrong } = walk({ concurrent: true, staging: true, crashes: 1, rules, statesMax: 300_000 });
    expect(wrong).not.toBeNull();
  });
});
