export type { LmdbStorageOptions } from './config.ts';
export { openLmdbStorage } from './storage.ts';
