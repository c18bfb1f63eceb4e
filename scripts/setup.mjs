/**
 * Installs what is missing and builds, so that a bare checkout needs one command. Plain Node, no dependencies.
 *
 *   node scripts/setup.mjs start   what the service needs (about 15 s)
 *   node scripts/setup.mjs full    everything, the test workspace with a compiled SQLite included (about 75 s)
 *
 * `npm install` and not `npm ci`: registries that do not carry every platform's optional packages refuse the latter.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const marker = join(root, 'node_modules', '.sluice-setup.json');

/** @param {'start' | 'full'} mode */
export function setup(mode) {
  const hash = inputsHash();
  const done = existsSync(marker) ? JSON.parse(readFileSync(marker, 'utf8')) : {};
  if (done.hash === hash && (done.mode === 'full' || done.mode === mode)) return;
  console.error(`sluice: installing packages (${mode}) …`);
  const only = mode === 'start' ? ['--workspace=service', '--include-workspace-root'] : [];
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...only]);
  writeFileSync(marker, JSON.stringify({ mode, hash: inputsHash() }));
}

function inputsHash() {
  const hash = createHash('sha256');
  const files = ['package.json', 'package-lock.json', 'service/package.json', 'test/package.json'];
  for (const file of files) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** Runs a command in the repository; ends this process with its exit code if it fails. */
export function run(command, args) {
  const windows = process.platform === 'win32';
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: windows });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup(process.argv[2] === 'start' ? 'start' : 'full');
