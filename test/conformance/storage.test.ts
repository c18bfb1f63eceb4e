import { registerStorageConformance } from '@sluice/storage/conformance';
import { afterAll, expect } from 'vitest';
import { sized } from '../kit/size.ts';
import { openLmdb, openMemory, PostgresStorages } from './storages.ts';

const concurrencyMs = sized(1_000, 60_000);
const postgres = new PostgresStorages();
afterAll(async () => {
  await postgres.stop();
  // A short run may miss one kind.
  for (const { unsent, unanswered, cut } of postgres.disturbed) expect(unsent + unanswered + cut).toBeGreaterThan(3);
});

registerStorageConformance('memory', openMemory, { concurrencyMs });
registerStorageConformance('LMDB', openLmdb, { concurrencyMs });
// Of its few commits a second on a busy machine, some must be disturbed.
registerStorageConformance('Postgres', postgres.open, {
  concurrencyMs: sized(3_000, 60_000),
  openDisturbed: postgres.openDisturbed,
});
