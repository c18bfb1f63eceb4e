import { registerStorageConformance } from '@sluice/storage/conformance';
import { openLmdb, openMemory } from './storages.ts';

registerStorageConformance('memory', openMemory);
registerStorageConformance('LMDB', openLmdb);
