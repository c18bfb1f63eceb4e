/** The storages that lives are lived on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@sluice/core';
import { createMemoryStorage, type MemoryStorage } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { SMALL_INDEX } from '../../kit/small-index.ts';
import type { SimulatedStorage } from './life.ts';
import { Turns } from './turns.ts';

export async function openSimulatedStorage(kind: 'memory' | 'lmdb'): Promise<SimulatedStorage> {
  if (kind === 'memory') return onMemory(createMemoryStorage());
  // In memory where there is such a place: what the disk does is for the crash tests.
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  return onLmdb(await mkdtemp(join(base, 'sluice-life-')));
}

function onMemory(storage: MemoryStorage): SimulatedStorage {
  return {
    storage,
    reopen: async () => onMemory(storage.afterCrash()),
    strikeOff: () => storage.strikeOffCopyWriters(),
    dispose: async () => {},
  };
}

async function onLmdb(path: string): Promise<SimulatedStorage> {
  const { clock } = new Turns();
  const storage = await openLmdbStorage({
    path,
    clock,
    logger: silentLogger,
    mapSizeBytes: 64 << 20,
    indexLimits: SMALL_INDEX,
  });
  return {
    storage,
    reopen: async () => {
      await storage.close();
      return onLmdb(path);
    },
    // There a process is dead or it is not.
    strikeOff: () => {},
    dispose: async () => {
      await storage.close();
      await rm(path, { recursive: true, force: true });
    },
  };
}
