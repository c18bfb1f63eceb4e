/**
 * How big the big tests are. The default keeps `npm test` of the whole repository under about eight minutes on two
 * cores; `SLUICE_TEST_SIZE=full` runs the sizes that are promised.
 */
export const fullSize = process.env['SLUICE_TEST_SIZE'] === 'full';

export function sized<T>(small: T, full: T): T {
  return fullSize ? full : small;
}

/** Seed of everything random in the big tests; printed when a test fails. */
export const testSeed = Number(process.env['SLUICE_TEST_SEED'] ?? 20_240_607);
