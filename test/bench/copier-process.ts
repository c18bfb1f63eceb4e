/**
 * Another process that copies, as `sluice start --role copy` does. Started by a bench with where the buckets and the
 * source are, as JSON; says `ready` when it waits for tables, and ends with its standard input.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { silentLogger, systemClock, systemRandom } from '@sluice/core';
import { NO_THROTTLE, ReplicationEngine } from '@sluice/replication';
import { createPostgresSource } from '@sluice/source-postgres';
import type { BucketStorage } from '@sluice/storage';
import { openLmdbStorage } from '@sluice/storage-lmdb';
import { openPostgresStorage } from '@sluice/storage-postgres';
import { parseSyncRules } from '@sluice/sync-rules';

export interface CopierTask {
  readonly storage: { readonly path: string } | { readonly uri: string };
  readonly sourceUri: string;
  readonly slot: string;
}

const FILE = fileURLToPath(import.meta.url);
const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };

/** Resolves when all of them wait for tables. */
export async function startCopiers(count: number, task: CopierTask): Promise<readonly ChildProcess[]> {
  const copiers = Array.from({ length: count }, () => {
    const flags = ['--max-semi-space-size=32', '--import', 'tsx'];
    return spawn(process.execPath, [...flags, FILE, JSON.stringify(task)], { stdio: ['pipe', 'pipe', 'inherit'] });
  });
  await Promise.all(copiers.map(({ stdout }) => once(stdout, 'data')));
  return copiers;
}

export async function stopCopiers(copiers: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    copiers.map(async (copier) => {
      const ended = once(copier, 'exit');
      copier.stdin?.end();
      await ended;
    }),
  );
}

function open({ storage }: CopierTask): Promise<BucketStorage> {
  if ('path' in storage) return openLmdbStorage({ path: storage.path, ...tools });
  return openPostgresStorage({ uri: storage.uri, sslmode: 'disable' }, tools);
}

async function copy(task: CopierTask): Promise<void> {
  const storage = await open(task);
  const engine = new ReplicationEngine({
    duty: 'copy',
    storage,
    createSource: () => createPostgresSource({ uri: task.sourceUri, sslmode: 'disable', slotName: task.slot }, tools),
    compileRules: (stream) => {
      const { rules } = parseSyncRules(stream.rules, { defaultSchema: 'public' });
      if (rules === null) throw new Error('the rules do not parse');
      return rules;
    },
    ...tools,
    owner: `bench ${process.pid}`,
    concurrency: 4,
    throttle: NO_THROTTLE,
  });
  const stop = new AbortController();
  process.stdin.on('end', () => stop.abort(new Error('over'))).resume();
  const running = engine.run(stop.signal);
  process.stdout.write('ready\n');
  await running;
  await storage.close();
}

if (process.argv[1] === FILE) await copy(JSON.parse(process.argv[2] ?? '') as CopierTask);
