/**
 * Data directories as copies of one: initdb takes more than a second, and leaves the same each time. The program `cp` keeps
 * owners; where there is none, each directory is filled anew.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';

/** @returns whether the empty directory is a copy now; false if there is no template yet */
export async function copyOfTemplate(template: string, directory: string): Promise<boolean> {
  const isThere = await readdir(template).then(
    () => true,
    () => false,
  );
  if (!isThere) return false;
  if (await copy(template, directory)) return true;
  for (const name of await readdir(directory)) await rm(`${directory}/${name}`, { recursive: true, force: true });
  return false;
}

/** The first of several who do so at once has it. */
export async function keepAsTemplate(directory: string, template: string): Promise<void> {
  const unfinished = `${template}.${process.pid}`;
  await mkdir(unfinished);
  const isKept = (await copy(directory, unfinished)) && (await rename(unfinished, template).then(yes, no));
  if (!isKept) await rm(unfinished, { recursive: true, force: true });
}

/** With owners and rights, those of the directory too. */
function copy(from: string, to: string): Promise<boolean> {
  return new Promise((done) => {
    const child = spawn('cp', ['-a', `${from}/.`, to], { stdio: 'ignore' });
    child.once('error', () => done(false));
    child.once('close', (code) => done(code === 0));
  });
}

function yes(): boolean {
  return true;
}

function no(): boolean {
  return false;
}
