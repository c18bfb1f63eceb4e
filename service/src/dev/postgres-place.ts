/**
 * Where the embedded Postgres can live. For an ordinary user that is where npm and the configuration put it. Root may
 * enter any directory, but the user that Postgres then runs as may not: a checkout below `/root` is closed to it. There,
 * programs and data go below `/var/lib/sluice`, which only root can write.
 */
import { createHash } from 'node:crypto';
import { chmod, chown, cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Logger, SluiceError } from '@sluice/core';
import { type PostgresBinaries, programsIn, type RunAs } from './postgres-binaries.ts';

const ROOT_BASE = '/var/lib/sluice';

export interface Place {
  /** Exists, belongs to the user of the server, and is closed to others. */
  readonly directory: string;
  readonly binaries: PostgresBinaries;
}

/** @throws SLU_C0007 if there is no place that the server's user may enter */
export async function findPlace(wanted: Place, runAs: RunAs, logger: Logger): Promise<Place> {
  const binaries = (await mayUse(wanted.binaries.postgres, runAs))
    ? wanted.binaries
    : await copyPrograms(wanted.binaries);
  await mkdir(dirname(wanted.directory), { recursive: true });
  let { directory } = wanted;
  if (!(await mayUse(dirname(directory), runAs))) {
    directory = join(ROOT_BASE, `data-${createHash('sha256').update(directory).digest('hex').slice(0, 12)}`);
    logger.warn({ wanted: wanted.directory, directory }, 'Postgres may not enter its directory, and uses another');
    await makeBase();
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (runAs.uid !== undefined) await chown(directory, runAs.uid, runAs.gid ?? runAs.uid);
  if (await mayUse(directory, runAs)) return { directory, binaries };
  throw new SluiceError('SLU_C0007', `Postgres would run as user ${runAs.uid}, who may not enter ${directory}`, {
    hint: 'Run Sluice as an ordinary user, or give the address of your own Postgres in the configuration.',
  });
}

async function copyPrograms(binaries: PostgresBinaries): Promise<PostgresBinaries> {
  const native = dirname(dirname(binaries.postgres));
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(ROOT_BASE, `postgres-${version}`);
  await makeBase();
  if (!(await readdir(ROOT_BASE)).includes(`postgres-${version}`)) {
    const unfinished = `${copy}.${process.pid}`;
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
    await chmod(unfinished, 0o755);
    await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true, force: true }));
  }
  return programsIn(join(copy, 'bin'));
}

async function makeBase(): Promise<void> {
  await mkdir(ROOT_BASE, { recursive: true, mode: 0o755 });
  await chmod(ROOT_BASE, 0o755);
}

/** Whether every directory on the way may be entered, and a file at its end run. */
async function mayUse(path: string, runAs: RunAs): Promise<boolean> {
  if (runAs.uid === undefined) return true;
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at);
    const needed = found.isDirectory() ? 0o001 : 0o005;
    const granted = found.uid === runAs.uid ? found.mode >> 6 : found.mode;
    if ((granted & needed) !== needed) return false;
    if (at === dirname(at)) return true;
  }
}
