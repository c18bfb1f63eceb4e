import { registerStorageConformance } from '@sluice/storage/conformance';
import { afterAll } from 'vitest';
import { sized } from '../kit/size.ts';
import { openLmdb, openMemory, PostgresStorages } from './storages.ts';

const concurrencyMs = sized(1_000, 60_000);
const postgres = new PostgresStorages();
afterAll(() => postgres.stop());

registerStorageConformance('memory', openMemory, { concurrencyMs });
registerStorageConformance('LMDB', openLmdb, { concurrencyMs });
registerStorageConformance('Postgres', postgres.open, {
  concurrencyMs: sized(3_000, 60_000),
  openDisturbed: postgres.openDisturbed,
});
