/** How to open each adapter for a test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@sluice/core';
import { createMemoryStorage, type MemoryStorage } from '@sluice/storage';
import type { OpenedStorage } from '@sluice/storage/conformance';
import { openLmdbStorage } from '@sluice/storage-lmdb';

export async function openMemory(): Promise<OpenedStorage> {
  return memory(createMemoryStorage());
}

function memory(storage: MemoryStorage): OpenedStorage {
  return { storage, reopen: async () => memory(storage.afterCrash()), cleanup: async () => {} };
}

export async function openLmdb(): Promise<OpenedStorage> {
  return lmdb(mkdtempSync(join(tmpdir(), 'sluice-lmdb-')));
}

async function lmdb(path: string): Promise<OpenedStorage> {
  const storage = await openLmdbStorage({ path, clock: systemClock, logger: silentLogger, pollMs: 20 });
  return {
    storage,
    // Closing gives no lease back: to the next one it looks like a death.
    reopen: async () => {
      await storage.close();
      return lmdb(path);
    },
    cleanup: async () => {
      await storage.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}
