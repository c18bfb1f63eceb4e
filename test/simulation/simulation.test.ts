import { createMemoryStorage, type MemoryStorage } from '@sluice/storage';
import { expect, test } from 'vitest';
import { sized } from '../kit/size.ts';
import { simulate } from './run.ts';

/** `SLUICE_SIM_SEED=123 npx vitest run test/simulation` replays one life. */
const only = process.env['SLUICE_SIM_SEED'];
const lives = Number(process.env['SLUICE_SIM_LIVES'] ?? sized(1500, 100_000));
const seeds = only === undefined ? Array.from({ length: lives }, (_, index) => index + 1) : [Number(only)];

test(`${seeds.length} simulated lives: every checkpoint equals the source at its position`, {
  timeout: 3_600_000,
}, async () => {
  for (const seed of seeds) {
    const violation = await simulate({
      seed,
      openStorage: async () => createMemoryStorage(),
      reopen: async (storage) => (storage as MemoryStorage).afterCrash(),
      transactions: 12,
      crashes: seed % 3,
    });
    expect(violation, `seed ${seed}`).toBeNull();
  }
});
