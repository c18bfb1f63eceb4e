/** The suite every storage adapter must pass. Registers vitest tests; needs no more than a way to open the adapter. */
import { describe } from 'vitest';
import { checkpointConformance } from './checkpoints.ts';
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

export { at, type OpenedStorage, type OpenStorage, relationOf, World } from './harness.ts';
export { decodeToyRow, evaluateToyRow, put, reduceOps, remove, type ToyRow, type ToyWrite } from './toy-rows.ts';

export function registerStorageConformance(name: string, open: OpenStorage): void {
  const withWorld = worlds(open);
  describe(`storage conformance: ${name}`, () => {
    describe('checkpoints', () => checkpointConformance(withWorld));
    describe('rows', () => rowConformance(withWorld));
    describe('reading', () => readingConformance(withWorld));
    describe('lookups', () => lookupConformance(withWorld));
    describe('tables', () => tableConformance(withWorld));
    describe('staged tables', () => stagedTableConformance(withWorld));
    describe('histories', () => historyConformance(withWorld));
    describe('streams', () => streamConformance(withWorld));
    describe('write checkpoints', () => writeCheckpointConformance(withWorld));
    describe('durability', () => durabilityConformance(withWorld));
  });
}
