import { registerStorageConformance } from '@sluice/storage/conformance';
import { afterAll } from 'vitest';
import { openLmdb, openMemory, PostgresStorages } from './storages.ts';

const postgres = new PostgresStorages();
afterAll(() => postgres.stop());

registerStorageConformance('memory', openMemory);
registerStorageConformance('LMDB', openLmdb);
registerStorageConformance('Postgres', postgres.open);
