/** `sluice migrate` and `sluice new-epoch`: what operators do to a storage in Postgres by hand. */
import { SluiceError } from '@sluice/core';
import { loadConfig } from '../config/resolve.ts';
import { createLogger } from '../logging.ts';
import { beginStorageEpoch, migrateStorage } from '../registry.ts';

export interface StorageOptions {
  readonly config: string;
}

export async function migrate({ config: file }: StorageOptions): Promise<number> {
  const config = loadConfig(file, process.env);
  const steps = await migrateStorage(config.storage, createLogger('warn'));
  process.stdout.write(steps === 0 ? 'The storage schema is up to date.\n' : `${steps} steps taken.\n`);
  return 0;
}

export async function newEpoch({ config: file, yes }: StorageOptions & { readonly yes?: boolean }): Promise<number> {
  const config = loadConfig(file, process.env);
  if (yes !== true) {
    throw new SluiceError('SLU_C0003', 'everything is copied anew, and all clients sync again from the beginning', {
      hint: 'This is for a storage that was restored from a backup. Stop all Sluice processes, then add --yes.',
    });
  }
  const { epoch, stream } = await beginStorageEpoch(config.storage, createLogger('warn'));
  const next = stream === null ? 'Nothing was deployed.' : `Stream ${stream} begins at the next start.`;
  process.stdout.write(`Epoch ${epoch}. ${next}\n`);
  return 0;
}
