/** The suite every storage adapter must pass. Registers vitest tests; needs no more than a way to open the adapter. */
import { describe } from 'vitest';
import { checkpointConformance } from './checkpoints.ts';
import { claimConformance } from './claims.ts';
import { concurrencyConformance } from './concurrency.ts';
import { durabilityConformance } from './durability.ts';
import type { OpenStorage } from './harness.ts';
import { historyConformance } from './histories.ts';
import { lookupConformance } from './lookups.ts';
import { readingConformance } from './reading.ts';
import { rowConformance } from './rows.ts';
import { stagedTableConformance } from './staged-tables.ts';
import { streamConformance } from './streams.ts';
import { tableConformance } from './tables.ts';
import { worlds } from './with-world.ts';
import { writeCheckpointConformance } from './write-checkpoints.ts';

export { at, bodiesOf, type OpenedStorage, type OpenStorage, relationOf, World } from './harness.ts';
export { decodeToyRow, evaluateToyRow, put, reduceOps, remove, type ToyRow, type ToyWrite } from './toy-rows.ts';

export interface ConformanceOptions {
  /** Opens a storage that is disturbed while it is used, where the adapter has anything that can break. */
  readonly openDisturbed?: OpenStorage;
  /** How long everything is done at once. Default 1 s. */
  readonly concurrencyMs?: number;
}

export function registerStorageConformance(name: string, open: OpenStorage, options: ConformanceOptions = {}): void {
  const withWorld = worlds(open);
  describe(`storage conformance: ${name}`, () => {
    describe('checkpoints', () => checkpointConformance(withWorld));
    describe('rows', () => rowConformance(withWorld));
    describe('reading', () => readingConformance(withWorld));
    describe('lookups', () => lookupConformance(withWorld));
    describe('tables', () => tableConformance(withWorld));
    describe('staged tables', () => stagedTableConformance(withWorld));
    describe('claims', () => claimConformance(withWorld));
    describe('histories', () => historyConformance(withWorld));
    describe('streams', () => streamConformance(withWorld));
    describe('write checkpoints', () => writeCheckpointConformance(withWorld));
    describe('concurrency', () =>
      concurrencyConformance(options.openDisturbed ?? open, options.concurrencyMs ?? 1_000));
    describe('durability', () => durabilityConformance(withWorld));
  });
}
